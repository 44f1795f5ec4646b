//! Going on from where something else has stopped: an earlier run, or a frontier that is not empty.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::Crawler;
use crate::journal::Journal;
use crate::{Failure, FailureKind, Job, Offer, PageUrl, Record};

impl Crawler {
    /// Takes over what a frontier held before the crawl.
    pub(crate) fn adopt(&mut self) {
        for (origin, waiting) in self.frontier.origins() {
            let host = self.hosts.id(&origin);
            self.hosts.found(host, waiting);
        }
    }

    /// Takes over what an earlier run left in its journal, and goes on writing there.
    pub(crate) fn resume(&mut self, path: &Path) -> io::Result<()> {
        // Counted by host, not listed: there may be as many pages as memory can hold fingerprints of.
        let mut had: HashMap<String, u64> = HashMap::new();
        let mut waiting: HashMap<String, usize> = HashMap::new();
        let (summary, started) = (&mut self.summary, &mut self.started);
        let note_record = |record: &Record, done: bool| {
            // What waits again is counted when it is done.
            if !done {
                return;
            }
            summary.add_earlier(record);
            let kind = record.error.as_ref().map(Failure::kind);
            if kind != Some(FailureKind::Robots) {
                *started += 1;
                if let Ok(url) = record.url.parse::<PageUrl>() {
                    count(&mut had, url.origin(), 1);
                }
            }
        };
        let (frontier, levels) = (&mut self.frontier, &mut self.levels);
        let note_page = |job: Job, done: bool| {
            if done {
                return frontier.remember(&job.url);
            }
            let (url, depth) = (job.url.clone(), job.depth);
            if frontier.offer(job)? == Offer::Queued {
                levels.add(depth);
                count(&mut waiting, url.origin(), 1);
            }
            Ok(())
        };
        self.journal = Some(Journal::open(path, note_record, note_page)?);
        for (origin, pages) in had {
            let host = self.hosts.id(&origin);
            self.hosts.had(host, pages);
        }
        for (origin, pages) in waiting {
            let host = self.hosts.id(&origin);
            self.hosts.found(host, pages);
            if self.hosts.is_full(host) {
                self.skip_waiting(host);
            }
        }
        Ok(())
    }
}

fn count<N: std::ops::AddAssign + Default>(counts: &mut HashMap<String, N>, origin: &str, more: N) {
    match counts.get_mut(origin) {
        Some(count) => *count += more,
        None => {
            counts.insert(origin.to_owned(), more);
        }
    }
}
