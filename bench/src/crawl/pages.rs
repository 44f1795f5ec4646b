//! The pages of the site, and what is to be found in them.

use std::fmt::Write as _;

use crate::scenario::Scale;

/// A folder of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// Pages of 1 to 50 KB.
    Mixed,
    /// Pages of 4 KiB.
    Even,
}

impl Folder {
    pub(crate) const ALL: [Self; 2] = [Self::Mixed, Self::Even];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Even => "even",
        }
    }

    /// The sizes of its pages, the same in every process.
    pub(crate) fn sizes(self, scale: Scale) -> Vec<usize> {
        let mut random = fastrand::Rng::with_seed(0x5eed);
        let size = |_| match self {
            Self::Mixed => random.usize(1_000..=50_000),
            Self::Even => 4096,
        };
        (0..scale.pick(2000, 40)).map(size).collect()
    }

    /// The path of a page.
    pub(crate) fn path(self, index: usize) -> String {
        format!("/{}/{index}.html", self.name())
    }

    /// A page of `size` bytes with links to others.
    pub(crate) fn page(self, index: usize, size: usize, pages: usize) -> String {
        let mut text = format!("<!doctype html>\n<title>Page {index}</title>\n");
        for link in 0..links(size) {
            let to = (index * 7 + link * 131 + 1) % pages;
            let _ = writeln!(text, "<a href=\"{}\">page {to}</a>", self.path(to));
        }
        text.push_str(&"Lorem ipsum dolor sit amet. ".repeat(size / 28 + 1));
        text.truncate(size);
        text
    }
}

/// The links of a page.
fn links(size: usize) -> usize {
    2 + size / 1024
}

/// What was found in pages. Every client adds up the same, as its chunks come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    /// Beginnings of tags.
    pub(crate) tags: u64,
}

impl Tally {
    /// Looks through a part of a page.
    pub(crate) fn scan(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.tags += memchr::memchr_iter(b'<', chunk).count() as u64;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.tags += other.tags;
    }

    /// What is in a page of this size.
    pub(crate) fn of_page(size: usize) -> Self {
        Self {
            bytes: size as u64,
            // Those of the doctype and the title, and two of each link.
            tags: 3 + 2 * links(size) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_what_is_expected_of_it() {
        for folder in Folder::ALL {
            for (index, size) in folder.sizes(Scale::Quick).into_iter().enumerate() {
                let page = folder.page(index, size, 40);
                let mut found = Tally::default();
                // In pieces, as it comes.
                page.as_bytes()
                    .chunks(700)
                    .for_each(|part| found.scan(part));
                assert_eq!(found, Tally::of_page(size));
            }
        }
    }
}
