//! What fuzz targets need of the private parts; not there in an ordinary build.

use crate::sitemap::SitemapReader;
use crate::{Job, PageUrl};

/// The addresses of a sitemap that comes in these pieces.
///
/// # Panics
///
/// Never: the address is that of a sitemap.
pub fn sitemap<'i>(pieces: impl Iterator<Item = &'i [u8]>) -> Vec<PageUrl> {
    let url = "http://host.example/sitemap.xml";
    let url = url.parse().expect("it is valid");
    let mut reader = SitemapReader::for_page(&url, "").expect("its name says so");
    pieces.for_each(|piece| reader.feed(piece));
    reader.finish()
}

/// Escapes in the one spelling that addresses have.
#[must_use]
pub fn normal_escapes(text: &str) -> String {
    crate::page_url::normalise_escapes(text).unwrap_or_else(|| text.to_owned())
}

/// What a line turned out to be.
#[derive(Debug)]
pub enum Line {
    /// A page, and the line that is written for it.
    Job(Job, Vec<u8>),
    /// Something else.
    Other,
}

/// What a line means in the file of waiting pages, in a journal, and in an answer of a shared frontier.
#[must_use]
pub fn line(text: &[u8]) -> Vec<Line> {
    let whole = [text, b"\n"].concat();
    let mut lines: Vec<_> = job(text).map(written).into_iter().collect();
    lines.extend(crate::journal::entry(&whole).map(|entry| entry.map_or(Line::Other, written)));
    if let Ok(text) = std::str::from_utf8(text) {
        let jobs = crate::shared::jobs(text);
        lines.extend(jobs.into_iter().map(written));
    }
    lines
}

/// A page, from a line without its end.
#[must_use]
pub fn job(text: &[u8]) -> Option<Job> {
    Job::read(text)
}

fn written(job: Job) -> Line {
    let mut line = Vec::new();
    job.write(&mut line);
    Line::Job(job, line)
}
