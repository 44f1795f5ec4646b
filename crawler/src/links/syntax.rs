//! What is a tag: the quirks of the standard one by one, and any mixture of them against the parser of lol_html.
//!
//! The negative controls, each tried: let `comment` end at `->`; let a script ignore `<!--`; let the first equals
//! sign of an attribute's name begin its value; let the second of two attributes count.

use std::cell::RefCell;
use std::path::Path;

use lol_html::html_content::Element;
use lol_html::{element, rewrite_str};

use super::attributes::Attribute;
use super::elements::Kind;
use super::tags::Tags;
use crate::random::numbers;

/// A tag: the address that it has, or `content`.
fn tags(html: &[u8], chunk: usize) -> Vec<String> {
    let mut tags = Tags::new();
    let mut found = Vec::new();
    for part in html.chunks(chunk) {
        tags.feed(part, |tag| {
            let says = match tag.kind {
                Kind::Iframe | Kind::Frame => Attribute::Src,
                Kind::Meta => Attribute::Content,
                _ => Attribute::Href,
            };
            if let Some(value) = tag.get(says) {
                let value = String::from_utf8_lossy(value);
                found.push(format!("{:?} {value}", tag.kind).to_lowercase());
            }
        });
    }
    found
}

fn hrefs(html: &str) -> Vec<String> {
    let whole = tags(html.as_bytes(), usize::MAX);
    for chunk in [1, 2, 3, 7] {
        assert_eq!(
            tags(html.as_bytes(), chunk),
            whole,
            "chunks of {chunk}: {html}"
        );
    }
    whole
}

#[track_caller]
fn check(html: &str, expected: &str) {
    let expected: Vec<_> = expected
        .split_whitespace()
        .map(|href| format!("a {href}"))
        .collect();
    assert_eq!(hrefs(html), expected, "{html}");
}

#[test]
fn attributes() {
    check(
        "<a href=1><A HREF=2><a\nhref\n=\n3\n><a/href=4/><a x/href='5'y>",
        "1 2 3 4/ 5",
    );
    check(
        "<a href=1 href=2><a x='>' href=\"3\"><a x=\"'\" href='4'>",
        "1 3 4",
    );
    // What has no equals sign before it is no value.
    check(
        "<a \"x>\" href=no><a '' href=1><a =href=no><a = href=2>",
        "1 2",
    );
    check(
        "<a href=\"1\"href=no><a x=y\"z href=2><a href==3><a href=4'>",
        "1 2 =3 4'",
    );
    check(
        "<a hreflang=no><a xhref=no><a x-very-long-name-of-an-attribute=1 href=1>",
        "1",
    );
    assert_eq!(hrefs("<a href><a href=><a href=''>"), ["a ", "a ", "a "]);
    // The end of the page is no end of a tag.
    check("<a href=no", "");
    check("<a href='no'", "");
}

#[test]
fn names() {
    check(
        "<ab href=no><abbr href=no><a-b href=no><1 <a href=1>< a href=no><<a href=2>",
        "1 2",
    );
    check(
        "</a href=no><//a href=no></><a href=1></ <a href=no><a href=2>",
        "1 2",
    );
    check("<a<b href=no><a\x0chref=1><a\x0bhref=no>", "1");
}

#[test]
fn comments() {
    for comment in [
        "<!-- <a href=no> -->",
        "<!-->",
        "<!--->",
        "<!---->",
        "<!----->",
        "<!--a--!>",
        "<!--<a href=no>--!>",
        "<!-- ->- -- > --a> <a href=no>--->",
        "<!--!> <a href=no>-->",
        "<!--->",
        "<!-- <!-- <a href=no> -->",
        "<!--a--!-> <a href=no>-->",
        "<!>",
        "<!->",
        "<!x '>",
        "<?php \"?>",
        "</ '>",
        "</3>",
        "<!doctype html public \">",
        "<![CDATA[>",
    ] {
        check(&format!("{comment}<a href=1>"), "1");
    }
    check("<!-- <a href=no>", "");
    check("<!--><a href=1>--><a href=2>", "1 2");
}

#[test]
fn text_that_no_tag_interrupts() {
    for element in [
        "title", "textarea", "style", "xmp", "noembed", "noframes", "iframe", "script",
    ] {
        check(
            &format!(
                "<{element}><a href=no></x><!-- </{element}x><a href=no></ {element}></{element}-->\
                 </{}\n><a href=1>",
                element.to_uppercase()
            ),
            "1",
        );
        check(
            &format!("<{element}/><a href=no></{element}/><a href=1>"),
            "1",
        );
    }
    check("<plaintext><a href=no></plaintext><a href=no>", "");
    // Nothing runs scripts here.
    check(
        "<noscript><a href=1></noscript><template><a href=2></template>",
        "1 2",
    );
}

#[test]
fn comments_in_scripts() {
    check("<script><!-- </script><a href=1>", "1");
    check(
        "<script><!-- <script> </script><a href=no> --></script><a href=1>",
        "1",
    );
    check(
        "<script><!-- <script> </script><a href=no></script><a href=1>",
        "1",
    );
    check("<script><!--><script></script><a href=1>", "1");
    check("<script><!-- <scripts></script><a href=1>", "1");
    check("<script><!- <script></script><a href=1>", "1");
    check("<script><!--<script/</script/</script><a href=1>", "1");
    check("<script><!--<script></script </script><a href=1>", "1");
    check(
        "<script><!-- -- ><script></script>--><a href=no></script><a href=1>",
        "1",
    );
}

#[test]
fn what_is_no_html() {
    check("<svg><style/><title/><a href=1></svg><a href=2>", "1 2");
    check("<svg><script><a href=1></script></svg>", "1");
    check(
        "<svg><![CDATA[<a href=no>]] >]]]><a href=1></svg><![CDATA[<a href=no>]]>",
        "1",
    );
    check(
        "<svg><![cdata[><a href=1>]]></svg><![CDATA[><a href=2>]]>",
        "1 2",
    );
    check(
        "<svg><title><style><a href=no></style></title><style><a href=1></style>",
        "1",
    );
    check(
        "<svg><foreignObject><style><a href=no></style></foreignObject><style><a href=1>",
        "1",
    );
    check(
        "<math><mi><style><a href=no></style></mi><style><a href=1></style>",
        "1",
    );
    // HTML where it must not be ends it all.
    check("<svg><g><p><style><a href=no></style><a href=1>", "1");
    check("<svg/><style><a href=no></style><a href=1>", "1");
    let deep = "<svg>".repeat(1000) + &"</math>".repeat(1000) + &"</svg>".repeat(1000);
    check(&format!("{deep}<style><a href=no></style><a href=1>"), "1");
}

/// The same tags by lol_html.
fn theirs(html: &str) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let selector =
        "a[href], area[href], base[href], link[href], iframe[src], frame[src], meta[content]";
    let note = |element: &mut Element<'_, '_>| {
        let says = match &*element.tag_name() {
            "iframe" | "frame" => "src",
            "meta" => "content",
            _ => "href",
        };
        let value = element.get_attribute(says);
        found
            .borrow_mut()
            .push(format!("{} {}", element.tag_name(), value.unwrap_or_default()).to_lowercase());
        Ok(())
    };
    let settings = lol_html::RewriteStrSettings::new()
        .append_element_content_handler(element!(selector, note))
        .with_strict(false);
    rewrite_str(html, settings).unwrap();
    found.into_inner()
}

#[test]
fn any_mixture_is_read_as_another_parser_does() {
    const PIECES: &[&str] = &[
        "<a href=",
        "<a ",
        "href",
        "=",
        "'",
        "\"",
        ">",
        "/>",
        "</a>",
        "<",
        "/",
        "!",
        "-",
        "--",
        " ",
        "\n",
        "x",
        "1",
        "<!--",
        "-->",
        "--!>",
        "<script>",
        "</script>",
        "<script",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "<textarea>",
        "</textarea>",
        "<!doctype html>",
        "<meta name=robots content=x>",
        "<base href=b>",
        "<link rel=canonical href=c>",
        "<p>",
        "</p>",
        "<iframe src=i>",
        "</iframe>",
        "<xmp>",
        "</xmp>",
        "<?",
        "</",
        "<![CDATA[",
        "]]>",
        "&",
        "#",
        "<svg>",
        "</svg>",
    ];
    let mut next = numbers();
    let mut found = 0;
    for _ in 0..20_000 {
        let html: String = (0..next(25)).map(|_| PIECES[next(PIECES.len())]).collect();
        // Of SVG in SVG the other one leaves only the inner, where the standard leaves both.
        if html.matches("<svg>").count() > 1 {
            continue;
        }
        let ours = tags(html.as_bytes(), next(9) + 1);
        assert_eq!(ours, theirs(&html), "{html:?}");
        found += ours.len();
    }
    assert!(found > 10_000, "{found}");
}

/// Real pages, where they are installed: a few of those that the comparison crawls.
#[test]
fn real_pages_are_read_as_another_parser_does() {
    fn visit(folder: &Path, take: &mut impl FnMut(&Path)) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                visit(&path, take);
            } else if path.extension().is_some_and(|kind| kind == "html") {
                take(&path);
            }
        }
    }
    let long = std::env::var_os("HEIST_LONG").is_some();
    let (mut pages, mut found) = (0, 0);
    for folder in [
        "/usr/share/doc/python3/html",
        "/usr/share/doc/rust-doc/html",
    ] {
        visit(
            &std::fs::canonicalize(folder).unwrap_or_default(),
            &mut |path| {
                pages += 1;
                if !long && pages % 50 != 0 {
                    return;
                }
                let html = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
                // The other one reads as one that runs scripts does.
                let html = html
                    .replace("<noscript>", "<i>")
                    .replace("</noscript>", "</i>");
                let ours = tags(html.as_bytes(), 16 << 10);
                assert_eq!(ours, theirs(&html), "{}", path.display());
                found += ours.len();
            },
        );
    }
    eprintln!(
        "{found} tags in {pages} pages, of which {} are compared",
        if long { "all" } else { "some" }
    );
}
