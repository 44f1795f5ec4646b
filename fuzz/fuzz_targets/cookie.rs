//! Cookies: whatever lines come, another site gets none of them, nor does `http` those that are `Secure`, and what is
//! kept and sent is bounded.

#![no_main]

use heist_fuzz::Input;
use heist_net::http::cookie::{CookieStore, Jar};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use url::Url;

const URLS: [&str; 4] = [
    "https://www.shop.example.com/a/b",
    "http://www.shop.example.com/",
    "https://127.0.0.1/x",
    "https://shop.co.uk/a",
];

/// None of them shares a site with any of those.
const STRANGERS: [&str; 4] = [
    "https://example.org/a/b",
    "https://other.co.uk/a",
    "https://127.0.0.2/x",
    "https://com/",
];

// The input says to which URLs the lines belong, and has one `Set-Cookie` in each line.
fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut which = input.byte();
    let jar = Jar::new();
    let url = |text: &str| Url::parse(text).expect("it is valid");
    let mut longest = 0;
    for line in input.0.split(|&b| b == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        longest = longest.max(line.len());
        jar.set_cookies(
            &mut std::iter::once(&value),
            &url(URLS[usize::from(which & 3)]),
        );
        which = which.rotate_right(2);
    }
    assert!(jar.len() <= 4 * 180);
    for stranger in STRANGERS {
        assert_eq!(jar.cookies(&url(stranger)), None, "{stranger}");
    }
    for text in URLS {
        let Some(cookies) = jar.cookies(&url(text)) else {
            continue;
        };
        assert!(cookies.len() < 64 * 1024 && !cookies.is_empty());
        assert!(
            !cookies
                .as_bytes()
                .iter()
                .any(|b| b.is_ascii_control() && *b != b'\t')
        );
    }
    // Those for `http` are some of those for `https`.
    let plain = jar.cookies(&url("http://www.shop.example.com/a/b"));
    let secure = jar.cookies(&url("https://www.shop.example.com/a/b"));
    if let Some(plain) = plain {
        let secure = secure.expect("it has them, too");
        assert!(plain.len() <= secure.len());
    }
});
