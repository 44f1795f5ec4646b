//! Cookies: whatever lines come, another site gets none of them, nor does `http` those that are `Secure`, and what is
//! kept and sent is bounded.

#![no_main]

use std::sync::LazyLock;

use heist_fuzz::Input;
use heist_net::http::cookie::{CookieStore, Jar};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use url::Url;

// Taken apart once, not for each line: that is ten times as much work as the line.
static URLS: LazyLock<[Url; 4]> = LazyLock::new(|| {
    urls([
        "https://www.shop.example.com/a/b",
        "http://www.shop.example.com/",
        "https://127.0.0.1/x",
        "https://shop.co.uk/a",
    ])
});

/// None of them shares a site with any of those.
static STRANGERS: LazyLock<[Url; 4]> = LazyLock::new(|| {
    urls([
        "https://example.org/a/b",
        "https://other.co.uk/a",
        "https://127.0.0.2/x",
        "https://com/",
    ])
});

/// The same page without and with TLS.
static PAGE: LazyLock<[Url; 2]> = LazyLock::new(|| {
    urls([
        "http://www.shop.example.com/a/b",
        "https://www.shop.example.com/a/b",
    ])
});

fn urls<const N: usize>(texts: [&str; N]) -> [Url; N] {
    texts.map(|text| Url::parse(text).expect("it is valid"))
}

// The input says to which URLs the lines belong, and has one `Set-Cookie` in each line.
fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut which = input.byte();
    let jar = Jar::new();
    for line in input.0.split(|&b| b == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        jar.set_cookies(&mut std::iter::once(&value), &URLS[usize::from(which & 3)]);
        which = which.rotate_right(2);
    }
    assert!(jar.len() <= 4 * 180);
    for stranger in &*STRANGERS {
        assert_eq!(jar.cookies(stranger), None, "{stranger}");
    }
    for url in &*URLS {
        let Some(cookies) = jar.cookies(url) else {
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
    let [plain, secure] = PAGE.each_ref().map(|url| jar.cookies(url));
    if let Some(plain) = plain {
        let secure = secure.expect("it has them, too");
        assert!(plain.len() <= secure.len());
    }
});
