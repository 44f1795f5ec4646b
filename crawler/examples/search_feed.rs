//! Turns a site into documents for a search engine: one JSON object a line, with title and text.
//!
//! ```console
//! cargo run --release -p heist-crawler --example search_feed -- https://example.org/ > documents.jsonl
//! ```
//!
//! A page that asks not to be indexed is left out, and one that says that its address is another (`rel=canonical`) is
//! known by that. The store shows how to do slow work for every page: the crawl is as fast as the store takes pages.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use heist_crawler::{Crawler, Page, Store, StoreFuture};
use lol_html::html_content::TextType;
use lol_html::{RewriteStrSettings, rewrite_str, text};
use serde::Serialize;

/// One document.
#[derive(Debug, Default, Serialize)]
struct Document {
    url: String,
    title: String,
    text: String,
    depth: u32,
}

/// Writes documents to standard output.
#[derive(Debug)]
struct Feed;

impl Store for Feed {
    fn store<'a>(&'a self, page: &'a Page) -> StoreFuture<'a> {
        Box::pin(async move {
            let html = matches!(&*page.media_type(), "text/html" | "application/xhtml+xml");
            if page.record.error.is_some()
                || page.record.redirect.is_some()
                || page.noindex
                || !html
            {
                return Ok(());
            }
            let html = page.text();
            let mut document = document(&html).unwrap_or_default();
            document.url = page.canonical.as_ref().unwrap_or(&page.url).to_string();
            document.depth = page.record.depth;
            let mut line = serde_json::to_vec(&document)?;
            line.push(b'\n');
            // A pipe may be slow: it is written to where that hinders nobody.
            heist::spawn_blocking(move || io::stdout().lock().write_all(&line))
                .await
                .map_err(|error| io::Error::other(error.to_string()))?
        })
    }
}

/// The title and the text of a page, without scripts and styles.
fn document(html: &str) -> Option<Document> {
    let (mut title, mut body) = (String::new(), String::new());
    let settings = RewriteStrSettings::new()
        .append_element_content_handler(text!("title", |chunk| {
            title.push_str(chunk.as_str());
            Ok(())
        }))
        .append_element_content_handler(text!("body", |chunk| {
            // Scripts and styles are text of another kind.
            if chunk.text_type() == TextType::Data {
                body.push_str(chunk.as_str());
                // Two cells of a table are two words.
                if chunk.last_in_text_node() {
                    body.push(' ');
                }
            }
            Ok(())
        }));
    rewrite_str(html, settings).ok()?;
    let words = |text: &str| {
        htmlize::unescape(text)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    Some(Document {
        title: words(&title),
        text: words(&body),
        ..Document::default()
    })
}

#[heist::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(site) = std::env::args().nth(1) else {
        eprintln!("usage: search_feed URL");
        return Ok(ExitCode::from(2));
    };
    let summary = Crawler::builder()
        .seed(&site)?
        .sitemaps(true)
        .store(Arc::new(Feed))
        .build()?
        .run()
        .await?;
    eprintln!("{summary}");
    Ok(ExitCode::SUCCESS)
}
