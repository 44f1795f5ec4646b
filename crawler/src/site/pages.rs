//! The pages of the embedded site.
//!
//! Page 0 is `/`, page `n` is `/page/n.html`. Page `n` links to pages `8n+1` to `8n+8`, which
//! makes a tree that reaches every page, and to some others, which makes the crawler meet pages
//! again. The links are spelled in every way that must lead to the same address, and each page
//! holds two baits that must not be followed: a crawler that follows one meets a 404.

use std::fmt::Write;

use super::mix;

/// Smallest page, in bytes: enough for the head, the links and the baits.
const SHORTEST: u64 = 1 << 10;

/// Largest page, in bytes.
const LONGEST: u64 = 50 << 10;

/// Pages that each page leads to in the tree.
const FAN_OUT: u64 = 8;

/// Bytes of text between two paragraph breaks.
const PARAGRAPH: usize = 600;

const BREAK: &str = "</p>\n<p>";
const TAIL: &str = "</p>\n</body></html>\n";

/// What pages talk about until they are long enough. ASCII without markup, so any cut is good.
const PROSE: &str = "A ring has two ends: requests go in at one and completions come out at the \
    other. Nobody waits at the counter, and nobody carries a single parcel when a cart will do. \
    A worker with an empty queue looks over the fence, and where a neighbour is busy it takes \
    half of the work and is thanked for it. A page that links to nothing is a dead end, a page \
    that links to itself is a short walk, and a site whose every page can be reached from its \
    door is a pleasant place to get lost in. The reader who came this far is most likely a \
    program; it is welcome all the same, and it may note that the length of this page was \
    decided before its first word was. ";

/// A site of linked HTML pages, 1 to 50 KiB each.
///
/// Everything about a page follows from its number and the seed, so a site of a million pages
/// takes no memory, and what a crawler counted can be compared with what was there.
///
/// ```
/// use heist_crawler::Site;
///
/// let site = Site::new(2000, 42);
/// let page = site.find("/page/7.html").expect("page 7 exists");
/// assert_eq!(site.page(page).len() as u64, site.page_length(page));
/// assert_eq!(site.find("/page/2000.html"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pages: u32,
    seed: u64,
}

impl Site {
    /// A site of `pages` pages, at least one.
    #[must_use]
    pub fn new(pages: u32, seed: u64) -> Self {
        Self {
            pages: pages.max(1),
            seed,
        }
    }

    /// How many pages there are. They are numbered from 0.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The seed the site was made with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The path of a page.
    #[must_use]
    pub fn path(&self, page: u32) -> String {
        if page == 0 {
            "/".to_owned()
        } else {
            format!("/page/{page}.html")
        }
    }

    /// The page at a path, if there is one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<u32> {
        if path == "/" {
            return Some(0);
        }
        let digits = path.strip_prefix("/page/")?.strip_suffix(".html")?;
        // One page has one path: no plus sign, no leading zero, no second name for the root.
        let canonical =
            digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let page = digits.parse().ok().filter(|_| canonical)?;
        (page < self.pages).then_some(page)
    }

    /// Bytes of a page, without making it.
    #[must_use]
    pub fn page_length(&self, page: u32) -> u64 {
        SHORTEST + mix(self.seed, page, 0) % (LONGEST - SHORTEST + 1)
    }

    /// The HTML of a page.
    #[must_use]
    pub fn page(&self, page: u32) -> Vec<u8> {
        let mut html = Vec::new();
        self.write_page(page, &mut html);
        html
    }

    /// Appends the HTML of a page to `out`.
    pub(super) fn write_page(&self, page: u32, out: &mut Vec<u8>) {
        let length = usize::try_from(self.page_length(page)).expect("a page fits into memory");
        out.reserve(length);
        let mut head = format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Page {page}</title></head>\n\
             <body><!-- <a href=\"/bait/comment\"> --><a rel=\"nofollow\" href=\"/bait/nofollow\">x</a>\n"
        );
        for (position, target) in self.targets(page).enumerate() {
            self.write_link(page, position, target, &mut head);
        }
        head.push_str("<p>");
        out.extend_from_slice(head.as_bytes());
        let room = length
            .checked_sub(head.len() + TAIL.len())
            .expect("the links fit into a page");
        write_prose(room, mix(self.seed, page, 1), out);
        out.extend_from_slice(TAIL.as_bytes());
    }

    /// The pages that a page links to: its children in the tree, and as many others as its
    /// length leaves room for.
    fn targets(&self, page: u32) -> impl Iterator<Item = u32> {
        let first = u64::from(page) * FAN_OUT + 1;
        let children = (first..first + FAN_OUT).map_while(move |child| {
            u32::try_from(child)
                .ok()
                .filter(|&child| child < self.pages)
        });
        let others = (0..self.page_length(page) / 4096).map(move |nth| {
            let target = mix(self.seed, page, 100 + nth) % u64::from(self.pages);
            u32::try_from(target).expect("the remainder of a u32")
        });
        children.chain(others)
    }

    /// Writes one link, spelled in one of six equivalent ways.
    fn write_link(&self, page: u32, position: usize, target: u32, html: &mut String) {
        let path = self.path(target);
        let bare = &path[1..];
        let href = match (mix(self.seed, page, 200) as usize).wrapping_add(position) % 6 {
            // Below /page/ a bare file name is enough; from the root it needs its folder.
            0 if page > 0 && target > 0 => format!("{target}.html"),
            0 if page > 0 => "../".to_owned(),
            0 => format!("./{bare}"),
            1 => format!("{path}#part"),
            2 => format!("/page/../{bare}"),
            3 => format!("&#47;{bare}"),
            4 if target > 0 => format!("/%70age/{target}.html"),
            _ => path,
        };
        let written = writeln!(html, "<a href=\"{href}\">{target}</a>");
        written.expect("a String takes what is written to it");
    }
}

/// Fills exactly `room` bytes with paragraphs, beginning somewhere in the prose.
fn write_prose(mut room: usize, start: u64, out: &mut Vec<u8>) {
    let prose = PROSE.as_bytes();
    let mut at = usize::try_from(start % prose.len() as u64).expect("an index into the prose");
    let mut until_break = PARAGRAPH;
    while room > 0 {
        if until_break == 0 {
            until_break = PARAGRAPH;
            if room > BREAK.len() {
                out.extend_from_slice(BREAK.as_bytes());
                room -= BREAK.len();
            }
        }
        let some = room.min(until_break).min(prose.len() - at);
        out.extend_from_slice(&prose[at..at + some]);
        room -= some;
        until_break -= some;
        at = (at + some) % prose.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkExtractor;
    use std::collections::HashSet;
    use url::Url;

    /// The pages that the crawler's own extractor finds on a page.
    fn links(site: &Site, page: u32) -> Vec<u32> {
        let url = Url::parse(&format!("http://site.example{}", site.path(page))).unwrap();
        let mut extractor = LinkExtractor::for_page(&url, "text/html; charset=utf-8").unwrap();
        extractor.feed(&site.page(page));
        let found = extractor.finish().urls;
        found
            .iter()
            .map(|link| {
                let path = link.to_url().path().to_owned();
                assert!(link.to_url().query().is_none());
                site.find(&path)
                    .unwrap_or_else(|| panic!("{path} on page {page} leads nowhere"))
            })
            .collect()
    }

    #[test]
    fn every_page_is_reachable_from_the_root() {
        for (pages, seed) in [(1, 1), (2, 2), (9, 3), (10, 4), (2000, 5), (2000, 6)] {
            let site = Site::new(pages, seed);
            let mut reached = HashSet::from([0]);
            let mut open = vec![0];
            while let Some(page) = open.pop() {
                open.extend(
                    links(&site, page)
                        .into_iter()
                        .filter(|&page| reached.insert(page)),
                );
            }
            assert_eq!(reached.len(), pages as usize, "{pages} pages, seed {seed}");
        }
    }

    #[test]
    fn a_page_has_the_length_it_was_given() {
        let site = Site::new(u32::MAX, 99);
        let mut lengths = HashSet::new();
        // The last pages have the longest numbers, and so the least room.
        for page in (0..3000).chain(u32::MAX / 8 - 2000..u32::MAX / 8) {
            let length = site.page_length(page);
            assert!((SHORTEST..=LONGEST).contains(&length));
            assert_eq!(site.page(page).len() as u64, length, "page {page}");
            lengths.insert(length);
        }
        assert!(lengths.len() > 4000, "lengths vary: {}", lengths.len());
    }

    #[test]
    fn the_longest_head_fits_into_the_shortest_page() {
        let page = (u32::MAX - 16) / 8;
        let shortest = (0..).find(|&seed| Site::new(u32::MAX, seed).page_length(page) < 1030);
        let site = Site::new(u32::MAX, shortest.unwrap());
        assert_eq!(links(&site, page).len(), 8);
    }

    #[test]
    fn pages_depend_on_number_and_seed_only() {
        let site = Site::new(100, 1);
        assert_eq!(site.page(5), Site::new(100, 1).page(5));
        assert_ne!(site.page(5), site.page(6));
        assert_ne!(site.page(5), Site::new(100, 2).page(5));
    }

    #[test]
    fn a_page_has_one_path() {
        let site = Site::new(12, 0);
        for page in 0..12 {
            assert_eq!(site.find(&site.path(page)), Some(page));
        }
        for path in [
            "",
            "/page/0.html",
            "/page/01.html",
            "/page/+1.html",
            "/page/12.html",
            "/page/.html",
            "/page/1",
            "page/1.html",
            "/page/99999999999.html",
            "/bait/comment",
            "//",
        ] {
            assert_eq!(site.find(path), None, "{path}");
        }
        assert_eq!(Site::new(0, 0).pages(), 1);
    }

    #[test]
    fn pages_meet_again() {
        let site = Site::new(500, 8);
        let total: usize = (0..500).map(|page| links(&site, page).len()).sum();
        assert!(total > 2 * 500, "{total} links for 500 pages");
    }
}
