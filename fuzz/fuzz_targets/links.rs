//! The links of a page: however it is cut, whatever its encoding, they are the same, and each is an address that means
//! itself.

#![no_main]

use std::sync::LazyLock;

use heist_crawler::{LinkExtractor, Links, PageUrl};
use heist_fuzz::{Input, pieces};
use libfuzzer_sys::fuzz_target;
use url::Url;

static PAGE: LazyLock<Url> =
    LazyLock::new(|| Url::parse("http://me:secret@host.example/a/b?c=d#e").expect("it is valid"));

/// `None`: the input says it, in its first line.
const CHARSETS: [Option<&str>; 8] = [
    None,
    Some(""),
    Some("; charset=utf-8"),
    Some("; charset=utf-16le"),
    Some("; charset=utf-16be"),
    Some("; charset=shift_jis"),
    Some("; charset=iso-2022-jp"),
    Some("; charset=windows-1252"),
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let charset = match CHARSETS[usize::from(input.byte() & 7)] {
        Some(charset) => charset.to_owned(),
        None => {
            let line = input.0.split(|&b| b == b'\n').next().unwrap_or_default();
            input.0 = &input.0[line.len()..];
            format!(";{}", String::from_utf8_lossy(line))
        }
    };
    let content_type = format!("text/html{charset}");
    let whole = links(&content_type, std::iter::once(input.0));
    let split = links(&content_type, pieces(input.0, seed));
    assert!(whole == split, "{whole:?}\n{split:?}");
    assert!(whole.complete);
    for url in whole.urls.iter().chain(&whole.canonical) {
        let again: PageUrl = url.as_str().parse().expect("it is one");
        assert!(again == *url, "{url} is read back as {again}");
        assert!(!url.origin().contains('@') && url.path().starts_with('/'));
        assert!(!url.as_str().contains(['#', '\t', '\n', ' ']), "{url:?}");
    }
});

fn links<'i>(content_type: &str, pieces: impl Iterator<Item = &'i [u8]>) -> Links {
    let mut links = LinkExtractor::for_page(&PAGE, content_type).expect("it is HTML");
    pieces.for_each(|piece| links.feed(piece));
    links.finish()
}
