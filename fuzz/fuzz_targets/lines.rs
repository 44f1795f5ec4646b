//! What a crawl reads of its own: lines of a journal, of the file of waiting pages, and of a shared frontier. They may
//! have been written by somebody else. What is understood is written as it was read.

#![no_main]

use heist_crawler::fuzzing::{Line, line};
use heist_crawler::{Job, PageUrl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for text in data.split(|&b| b == b'\n') {
        for understood in line(text) {
            match understood {
                Line::Job(job, written) => same(&job, &written),
                Line::Other => {}
            }
        }
        let Ok(text) = std::str::from_utf8(text) else {
            continue;
        };
        let Ok(url) = text.parse::<PageUrl>() else {
            continue;
        };
        let again: PageUrl = url.as_str().parse().expect("it is one");
        assert!(again == url, "{url} is read back as {again}");
        assert!(url.path().starts_with('/'));
        assert_eq!(format!("{}{}", url.origin(), url.path()), url.as_str());
        let origin: PageUrl = url.origin().parse().expect("an origin is an address");
        assert_eq!(origin.origin(), url.origin());
    }
});

/// A job is told from others by its line, so it is the same however often it is read.
fn same(job: &Job, written: &[u8]) {
    let text = written.strip_suffix(b"\n").expect("a line has an end");
    assert!(!text.contains(&b'\n'));
    let again = heist_crawler::fuzzing::job(text).expect("it was written by us");
    assert!(again == *job, "{job:?} is read back as {again:?}");
}
