//! One page to fetch.

use std::sync::Arc;

use crate::PageUrl;

/// One page to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where the page is.
    pub url: PageUrl,
    /// Links between the nearest seed and this page; 0 for a seed. A redirect adds nothing.
    pub depth: u32,
    /// Redirects that led here without a page in between.
    pub redirects: u8,
    /// The page that named this one; `None` for a seed. Shared by all links of that page.
    pub referrer: Option<Arc<str>>,
}

impl Job {
    /// A page named by the user.
    #[must_use]
    pub fn seed(url: PageUrl) -> Self {
        Self {
            url,
            depth: 0,
            redirects: 0,
            referrer: None,
        }
    }

    /// Appends the job as one line, ended. Normalised addresses hold neither tabs nor line ends.
    pub(crate) fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.url.as_str().as_bytes());
        line.extend_from_slice(format!("\t{}\t{}\t", self.depth, self.redirects).as_bytes());
        line.extend_from_slice(self.referrer.as_deref().unwrap_or_default().as_bytes());
        line.push(b'\n');
    }

    /// Reads such a line, without its end. `None` when it is none.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(line).ok()?.split('\t');
        let job = Self {
            url: parts.next()?.parse().ok()?,
            depth: parts.next()?.parse().ok()?,
            redirects: parts.next()?.parse().ok()?,
            referrer: parts.next().filter(|text| !text.is_empty()).map(Arc::from),
        };
        parts.next().is_none().then_some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_a_line() {
        let mut job = Job::seed("http://example.org/a%09b?c".parse().unwrap());
        for referrer in [None, Some("http://example.org/".into())] {
            job.referrer = referrer;
            (job.depth, job.redirects) = (u32::MAX, 9);
            let mut line = Vec::new();
            job.write(&mut line);
            assert_eq!(line.pop(), Some(b'\n'));
            assert!(!line.contains(&b'\n'));
            assert_eq!(Job::read(&line), Some(job.clone()));
        }
        for bad in [
            "",
            "x",
            "http://a/\t1",
            "http://a/\t1\t2\tr\tmore",
            "http://a/\t-1\t0\t",
            "ftp://a/\t1\t0\t",
        ] {
            assert_eq!(Job::read(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
