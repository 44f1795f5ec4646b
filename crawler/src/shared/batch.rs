//! What a crawler has to say to the frontier that it shares, as the words of `exchange.lua`.

use std::collections::VecDeque;
use std::time::Duration;

use heist::sync::OwnedSemaphorePermit;

use crate::Job;
use crate::budget::Account;
use crate::hosts::HostId;

/// Things that are said at a time, and their bytes: the server does nothing else meanwhile.
const MOST_ITEMS: usize = 2000;
const MOST_BYTES: usize = 1 << 20;

/// One thing to say.
#[derive(Debug)]
pub(super) enum Item {
    /// A page was found.
    Link { fingerprint: u64, line: Vec<u8> },
    /// A page is done, and everything that it leads to was said before.
    Done {
        line: Vec<u8>,
        /// Whether it counts against the limits of pages, and whether it went well.
        counts: bool,
        good: bool,
        bytes: u64,
        pause: Duration,
        page: Settled,
    },
    /// A page that was begun, and is not done, waits again.
    Back {
        line: Vec<u8>,
        bytes: u64,
        page: Settled,
    },
    /// A host has failed too often.
    Close { origin: String, pause: Duration },
    /// A host is given back.
    Free {
        origin: String,
        wait: Duration,
        pause: Duration,
        backoff: Duration,
        failures: u32,
    },
    /// What is now known to be the pause that a host needs.
    Pause { origin: String, pause: Duration },
}

/// A page that counts as under way until the frontier knows better. Its fetch is over, its permit is not.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) host: HostId,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A page as the frontier keeps it: its line, without the end.
pub(super) fn line_of(job: &Job) -> Vec<u8> {
    let mut line = Vec::with_capacity(job.url.as_str().len() + 80);
    job.write(&mut line);
    line.pop();
    line
}

/// The fingerprints are kept in so many sets. A set of up to 512 numbers costs 8 bytes for each, in Redis as it comes;
/// so that holds for 33 million addresses.
const SHARDS: u64 = 1 << 16;

impl Item {
    /// Appends it, as `exchange.lua` reads it.
    fn write(&self, words: &mut Vec<Vec<u8>>) {
        let number = |number: u64| number.to_string().into_bytes();
        match self {
            Self::Link { fingerprint, line } => {
                words.push(b"+".to_vec());
                words.push(number(fingerprint % SHARDS));
                // Redis keeps sets of signed numbers compactly.
                words.push(fingerprint.cast_signed().to_string().into_bytes());
                words.push(line.clone());
            }
            Self::Done {
                line,
                counts,
                good,
                bytes,
                pause,
                ..
            } => {
                words.push(b"-".to_vec());
                words.push(line.clone());
                words.push(number(u64::from(*counts) + u64::from(*good)));
                words.push(number(*bytes));
                words.push(number(milliseconds(*pause)));
            }
            Self::Back { line, bytes, .. } => {
                words.push(b"<".to_vec());
                words.push(line.clone());
                words.push(number(*bytes));
            }
            Self::Close { origin, pause } => {
                words.push(b"x".to_vec());
                words.push(origin.clone().into_bytes());
                words.push(number(milliseconds(*pause)));
            }
            Self::Free {
                origin,
                wait,
                pause,
                backoff,
                failures,
            } => {
                words.push(b"f".to_vec());
                words.push(origin.clone().into_bytes());
                for time in [wait, pause, backoff] {
                    words.push(number(milliseconds(*time)));
                }
                words.push(number(u64::from(*failures)));
            }
            Self::Pause { origin, pause } => {
                words.push(b"n".to_vec());
                words.push(origin.clone().into_bytes());
                words.push(number(milliseconds(*pause)));
            }
        }
    }
}

/// Rounded up: a host is never asked a moment too early.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX >> 12)
}

/// What is said in one exchange, kept until the answer is there.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) words: Vec<Vec<u8>>,
}

/// What a crawler wants besides.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Pages of hosts that it has.
    pub(super) pulls: Vec<(String, usize)>,
    /// Hosts, and pages of each.
    pub(super) hosts: (usize, usize),
}

impl Batch {
    /// The next part of what there is to say. `items` are taken from the front.
    pub(super) fn cut(items: &mut VecDeque<Item>, wants: Wants, bytes: Option<Account>) -> Self {
        let mut batch = Self {
            items: Vec::new(),
            words: Vec::new(),
        };
        let mut size = 0;
        while size < MOST_BYTES && batch.items.len() < MOST_ITEMS {
            let Some(item) = items.pop_front() else {
                break;
            };
            let from = batch.words.len();
            item.write(&mut batch.words);
            size += batch.words[from..].iter().map(Vec::len).sum::<usize>();
            batch.items.push(item);
        }
        let mut say = |word: &[u8], numbers: &[u64]| {
            batch.words.push(word.to_vec());
            let words = numbers.iter().map(|number| number.to_string().into_bytes());
            batch.words.extend(words);
        };
        if let Some(it) = bytes {
            say(b"b", &[it.granted, it.drawn, it.need, it.extra]);
        }
        for (origin, pages) in wants.pulls {
            say(b"p", &[]);
            say(origin.as_bytes(), &[pages as u64]);
        }
        let (hosts, pages) = wants.hosts;
        if hosts > 0 {
            say(b"a", &[hosts as u64, pages as u64]);
        }
        batch
    }

    /// Says that the crawler leaves.
    pub(super) fn leave(&mut self) {
        self.words.push(b"l".to_vec());
    }
}
