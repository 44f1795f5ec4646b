//! URLs and where redirects lead: what is followed can be fetched, is not longer than it should be, and carries no
//! credentials that a server made up.

#![no_main]

use std::sync::LazyLock;

use heist_net::http::fuzzing::{next_url, same_origin, target};
use heist_net::http::h1::{Connection, Error, Limits, RequestBody, RequestHead};
use http::{HeaderMap, Method, Version};
use libfuzzer_sys::fuzz_target;
use url::{Position, Url};

static USUAL: LazyLock<Url> =
    LazyLock::new(|| Url::parse("http://user:pw@host.example/a/b?c=d#e").expect("it is valid"));

// The input is a URL, a line feed, then the value of `Location`.
fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|&b| b == b'\n');
    let (from, location) = data.split_at(split.unwrap_or(0));
    let location = location.strip_prefix(b"\n").unwrap_or(location);
    let from = std::str::from_utf8(from).ok().map(Url::parse);
    let from = match from {
        Some(Ok(url)) if url.has_host() && ["http", "https"].contains(&url.scheme()) => url,
        _ => USUAL.clone(),
    };
    let Ok(Some(next)) = next_url(&from, 302, location) else {
        return;
    };
    assert!(["http", "https"].contains(&next.scheme()) && next.has_host());
    assert!(next.username().is_empty() && next.password().is_none());
    assert_eq!(same_origin(&from, &next), from.origin() == next.origin());
    // It is what it says it is.
    assert_eq!(Url::parse(next.as_str()).as_ref(), Ok(&next));
    // `..` does not lead out of the host, nor any bytes out of the request line.
    let request = RequestHead {
        method: &Method::GET,
        target: target(&next),
        host: next.host_str().unwrap_or_default(),
        port: next.port(),
        headers: &HeaderMap::new(),
        defaults: &HeaderMap::new(),
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    let mut out = Vec::new();
    match Connection::new(Limits::default()).encode_request(&request, &mut out) {
        Ok(()) => {
            let text = std::str::from_utf8(&out).expect("a request head is ASCII");
            assert_eq!(text.lines().count(), 3, "{text:?}");
            let host = &next[Position::BeforeHost..Position::AfterPort];
            assert!(text.ends_with(&format!("\r\nhost: {host}\r\n\r\n")));
            assert_eq!(
                text.lines().next().map(|line| line.split(' ').count()),
                Some(3)
            );
        }
        // A URL's host may hold characters that a `Host` header may not.
        Err(Error::InvalidHost) => assert!(out.is_empty()),
        Err(error) => panic!("{error:?} for {next}"),
    }
});
