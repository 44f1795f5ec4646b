//! What is a link, and in which encoding. What is a tag is in `syntax`.

use super::*;

const PAGE: &str = "http://example.org/dir/page.html";

fn extractor(content_type: &str) -> LinkExtractor {
    LinkExtractor::for_page(&Url::parse(PAGE).unwrap(), content_type).unwrap()
}

fn extract<'a>(content_type: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> Links {
    let mut links = extractor(content_type);
    for chunk in chunks {
        links.feed(chunk);
    }
    links.finish()
}

fn urls(html: &str) -> Vec<String> {
    let links = extract("text/html", [html.as_bytes()]);
    assert!(links.complete);
    links.urls.iter().map(ToString::to_string).collect()
}

const MIXED: &str = r##"<!doctype html><html><head><title>a > b</title>
    <link rel="stylesheet" href="style.css"><link rel="CANONICAL other" href="/canonical">
    </head><body><!-- <a href="comment"> --><script>"<a href='script'>"</script>
    <a class=x href = "one.html?a=1&amp;b=2&lt=3">1</a><a href='../two'>2</a>
    <A HREF=three>3</A><a name=nothing>no</a><a rel="noopener NoFollow" href=secret>no</a>
    <map><area href="/four"></map><iframe src="//example.net/five"></iframe>
    <a href="#top">here</a><a href="mailto:me@example.org">mail</a><a href="javascript:x()">js</a>
    <a href=" /six
 6 ">6</a><a href="&#x2F;seven">7</a><a href="one.html?a=1&b=2&lt=3#again">1 again</a>
    <a href="/caf&eacute;">8</a><a href="http://[bad">bad</a><img src=picture.png>
    <textarea><a href="text"></textarea></body></html>"##;

fn mixed() -> Vec<&'static str> {
    vec![
        "http://example.org/canonical",
        "http://example.org/dir/one.html?a=1&b=2&lt=3",
        "http://example.org/two",
        "http://example.org/dir/three",
        "http://example.org/four",
        "http://example.net/five",
        "http://example.org/dir/page.html",
        "http://example.org/six%206",
        "http://example.org/seven",
        "http://example.org/caf%C3%A9",
    ]
}

#[test]
fn the_links_of_a_page_and_nothing_else() {
    assert_eq!(urls(MIXED), mixed());
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    let whole = extract("text/html", [MIXED.as_bytes()]);
    for at in 0..=MIXED.len() {
        let (head, tail) = MIXED.as_bytes().split_at(at);
        assert_eq!(extract("text/html", [head, tail]), whole, "split at {at}");
    }
    assert_eq!(extract("text/html", MIXED.as_bytes().chunks(1)), whole);
}

#[test]
fn a_page_that_breaks_off_keeps_its_complete_links() {
    assert_eq!(
        urls("<a href=x>x</a><a href='unfinished"),
        ["http://example.org/dir/x"]
    );
    assert_eq!(urls(""), Vec::<String>::new());
}

#[test]
fn the_first_base_counts_for_the_whole_page() {
    let html = "<a href=early>x</a><base target=_top><base href='/base/'><base href=/no/>\
                <a href=late>x</a>";
    assert_eq!(
        urls(html),
        [
            "http://example.org/base/early",
            "http://example.org/base/late"
        ]
    );
    assert_eq!(
        urls("<base href='data:,x'><a href=y>y</a>"),
        ["http://example.org/dir/y"]
    );
    assert_eq!(
        urls("<base href='https://cdn.example/x/'><a href=y>y</a>"),
        ["https://cdn.example/x/y"]
    );
}

#[test]
fn legacy_encodings_are_read_as_what_they_are() {
    let latin: &[u8] = b"<a href=/caf\xe9>x</a>";
    let expected = "http://example.org/caf%C3%A9";
    let url = |links: Links| links.urls[0].to_string();
    assert_eq!(
        url(extract("text/html; charset=ISO-8859-1", [latin])),
        expected
    );
    assert_eq!(
        url(extract("Text/HTML;x=y; Charset=\"latin1\"", [latin])),
        expected
    );
    let meta: &[u8] = b"<meta charset=latin1><a href=/caf\xe9>x</a>";
    assert_eq!(url(extract("text/html", [meta])), expected);
}

#[test]
fn utf_16_is_transcoded_at_any_split() {
    let html = "<meta charset=utf-16><p>\u{1F980}</p><a href='/caf\u{e9}'>x</a>";
    let bytes: Vec<u8> = html.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        let links = extract("text/html; charset=utf-16le", [head, tail]);
        assert_eq!(links.urls.len(), 1, "split at {at}");
        assert_eq!(links.urls[0].as_str(), "http://example.org/caf%C3%A9");
    }
    // More text than the transcoding buffer holds.
    let long = format!("{}<a href=end>", "\u{20ac}".repeat(20_000));
    let bytes: Vec<u8> = long.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(
        extract("text/html; charset=utf-16be", [&bytes[..]])
            .urls
            .len(),
        1
    );
}

#[test]
fn a_byte_order_mark_outweighs_the_header() {
    let html = "\u{feff}<a href='/caf\u{e9}'>x</a>";
    let utf_16: Vec<u8> = html.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [utf_16.as_slice(), html.as_bytes()] {
        for size in [1, 2, 3, 1000] {
            let links = extract("text/html; charset=iso-8859-1", bytes.chunks(size));
            let urls: Vec<_> = links.urls.iter().map(PageUrl::as_str).collect();
            assert_eq!(urls, ["http://example.org/caf%C3%A9"], "chunks of {size}");
        }
    }
    assert_eq!(extract("text/html", [&b"ab"[..]]).urls.len(), 0);
}

#[test]
fn a_page_may_say_that_its_links_are_not_to_be_followed() {
    let html = |content: &str| {
        format!("<link rel=canonical href=/c><meta name=Robots content='{content}'><a href=x>x</a>")
    };
    for (content, links, noindex) in [
        ("index, follow", 2, false),
        ("NOFOLLOW", 0, false),
        ("noindex,nofollow", 0, true),
        ("noindex", 2, true),
        ("none", 0, true),
        ("nofollowing", 2, false),
    ] {
        let found = extract("text/html", [html(content).as_bytes()]);
        assert_eq!(
            (found.urls.len(), found.noindex),
            (links, noindex),
            "{content}"
        );
        assert_eq!(found.canonical.unwrap().as_str(), "http://example.org/c");
    }
    assert_eq!(
        urls("<meta name=description content=nofollow><a href=x>x</a>").len(),
        1
    );
}

#[test]
fn only_html_is_read() {
    let page = Url::parse(PAGE).unwrap();
    for html in [
        "text/html",
        "TEXT/HTML ; charset=x-unknown",
        "application/xhtml+xml",
    ] {
        assert!(LinkExtractor::for_page(&page, html).is_some(), "{html}");
    }
    for other in [
        "text/plain",
        "image/png",
        "text/htmlx",
        "application/json",
        "",
    ] {
        assert!(LinkExtractor::for_page(&page, other).is_none(), "{other}");
    }
}

#[test]
fn a_monstrous_tag_is_passed_over() {
    let mut html = b"<a href=before>x</a><a href='data:,".to_vec();
    html.resize(html.len() + (9 << 20), b'x');
    html.extend_from_slice(b"'>y</a><a href=after>z</a>");
    let mut links = extractor("text/html");
    for chunk in html.chunks(64 << 10) {
        links.feed(chunk);
    }
    let links = links.finish();
    assert!(links.complete);
    let urls: Vec<_> = links.urls.iter().map(PageUrl::as_str).collect();
    assert_eq!(
        urls,
        [
            "http://example.org/dir/before",
            "http://example.org/dir/after"
        ]
    );
}

#[test]
fn the_links_of_a_page_take_bounded_memory() {
    let padding = "x".repeat(8000);
    let html: String = (0..1100)
        .map(|number| format!("<a href={number}{padding}>"))
        .collect();
    let links = extract("text/html", [html.as_bytes()]);
    assert!(!links.complete);
    assert!(
        (1000..1050).contains(&links.urls.len()),
        "{}",
        links.urls.len()
    );
}

#[test]
fn extractors_travel_between_workers() {
    fn assert_send<T: Send>() {}
    assert_send::<LinkExtractor>();
}

#[test]
fn spellings_of_one_address_are_one_link() {
    let html = "<a href=x#a><a href=x#b><a href=x><a href='x #c'><a href=./x><a href='x&#x2f;y'><a href='x/y'>\
                <a href=#top><a href=''><a href>";
    let expected =
        ["x", "x%20", "x/y", "page.html"].map(|path| format!("http://example.org/dir/{path}"));
    assert_eq!(urls(html), expected);
}

/// Browsers read a page again when a `meta` element says that they were wrong; here addresses are read at the end.
#[test]
fn an_encoding_is_that_of_the_header_and_else_the_first_that_is_declared() {
    let page = |meta: &str| [b"<a href=/caf\xe9>x</a>", meta.as_bytes()].concat();
    let (latin, cyrillic) = ("caf%C3%A9", "caf%D0%B9");
    for (content_type, meta, expected) in [
        (
            "text/html",
            "<meta charset=latin1><meta charset=windows-1251>",
            latin,
        ),
        ("text/html", "<meta charset=windows-1251>", cyrillic),
        (
            "text/html; charset=latin1",
            "<meta charset=windows-1251>",
            latin,
        ),
        (
            "text/html",
            "<META http-equiv=Content-Type content='text/html; charset=windows-1251'>",
            cyrillic,
        ),
        (
            "text/html",
            "<meta http-equiv=x content='text/html; charset=windows-1251'>",
            "caf%EF%BF%BD",
        ),
        ("text/html", "<meta charset=utf-16>", "caf%EF%BF%BD"),
        (
            "text/html; charset=nonsense",
            "<meta charset=latin1>",
            latin,
        ),
    ] {
        let links = extract(content_type, [&page(meta)[..]]);
        assert_eq!(
            links.urls[0].path(),
            format!("/{expected}"),
            "{content_type} {meta}"
        );
    }
}
