//! Sitemaps: however one is cut, it names the same addresses, each once, and each means itself; also in gzip, where it
//! may end anywhere.

#![no_main]

use heist_crawler::PageUrl;
use heist_crawler::fuzzing::sitemap;
use heist_fuzz::{Input, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let whole = sitemap(std::iter::once(input.0));
    let split = sitemap(pieces(input.0, seed));
    // Of what grows out of gzip so much that nobody keeps it, more or less may have been seen.
    if input.0.first() != Some(&0x1f) {
        assert_eq!(whole, split);
    }
    for (at, url) in whole.iter().enumerate() {
        assert!(!whole[..at].contains(url), "{url} twice");
        let again: PageUrl = url.as_str().parse().expect("it is one");
        assert!(again == *url, "{url} is read back as {again}");
    }
});
