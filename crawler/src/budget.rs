//! Bytes that a crawl may still receive.

use std::fmt;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use heist::sync::Notify;

/// Bytes that a crawler keeps in stock when it shares its limit with others.
const STOCK: u64 = 1 << 20;

/// A number of bytes that many fetches draw from.
///
/// A counter that orders nothing else, so every access is relaxed: what counts is only that no byte is given twice.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    left: AtomicU64,
    limited: bool,
    part: Option<Part>,
}

/// What makes a budget a part of one that many crawlers have together: it is filled up when it runs low.
///
/// Only the thread that talks to the frontier changes `granted`; the fetches only take from `left`.
struct Part {
    /// All that was ever put in, and not taken out again.
    granted: AtomicU64,
    /// Bytes that fetches wait for.
    wanted: AtomicU64,
    /// Whether other crawlers wait for bytes.
    thirst: AtomicBool,
    /// Whether nothing will come any more.
    spent: AtomicBool,
    news: Notify,
    /// Called when a fetch begins to wait.
    call: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// How a part of a budget is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// What was put in.
    pub(crate) granted: u64,
    /// What was taken out of that.
    pub(crate) drawn: u64,
    /// What fetches wait for.
    pub(crate) need: u64,
    /// What would be good to have besides.
    pub(crate) extra: u64,
}

impl ByteBudget {
    /// This number of bytes, all at once.
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            left: AtomicU64::new(bytes),
            limited: bytes < u64::MAX,
            part: None,
        }
    }

    /// A part, empty at first, of that number of bytes.
    pub(crate) fn part_of(bytes: u64) -> Self {
        if bytes == u64::MAX {
            return Self::new(bytes);
        }
        Self {
            left: AtomicU64::new(0),
            limited: true,
            part: Some(Part {
                granted: AtomicU64::new(0),
                wanted: AtomicU64::new(0),
                thirst: AtomicBool::new(false),
                spent: AtomicBool::new(false),
                news: Notify::new(),
                call: OnceLock::new(),
            }),
        }
    }

    /// Takes `bytes`, or what is left of them, and says how many that are. Waits while more may come.
    ///
    /// Dropped while it waits, it may have taken some, which are lost.
    pub(crate) async fn draw(&self, bytes: u64) -> u64 {
        let mut taken = self.take(bytes);
        let Some(part) = &self.part else {
            return taken;
        };
        while taken < bytes {
            let news = pin!(part.news.notified());
            // Bytes that came before this line are found by the next, those that come later wake it.
            taken += self.take(bytes - taken);
            if taken == bytes || part.spent.load(Ordering::Relaxed) {
                break;
            }
            let _wanted = Wanted::new(part, bytes - taken);
            news.await;
        }
        taken
    }

    /// Takes `bytes`, or what is left of them, and says how many that are.
    fn take(&self, bytes: u64) -> u64 {
        if !self.limited {
            return bytes;
        }
        let take = |left: u64| Some(left - left.min(bytes));
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        // The closure never refuses, so both arms hold what was left.
        let (Ok(before) | Err(before)) = before;
        before.min(bytes)
    }

    pub(crate) fn is_spent(&self) -> bool {
        match &self.part {
            Some(part) => part.spent.load(Ordering::Relaxed),
            None => self.limited && self.left.load(Ordering::Relaxed) == 0,
        }
    }
}

/// What the thread does that talks to the frontier.
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "without Redis no budget is shared")
)]
impl ByteBudget {
    /// Who is told, from now on, that a fetch waits.
    pub(crate) fn when_wanted(&self, call: impl Fn() + Send + Sync + 'static) {
        if let Some(part) = &self.part {
            // There is one crawl, and it sets this once.
            let _ = part.call.set(Box::new(call));
        }
    }

    /// What has become of the bytes, and how many more are wanted. `None` when there is no limit. What is not used is
    /// given back when others wait.
    pub(crate) fn account(&self) -> Option<Account> {
        let part = self.part.as_ref()?;
        if part.thirst.load(Ordering::Relaxed) {
            let back = self.left.swap(0, Ordering::Relaxed);
            part.granted.fetch_sub(back, Ordering::Relaxed);
        }
        let (granted, left) = (
            part.granted.load(Ordering::Relaxed),
            self.left.load(Ordering::Relaxed),
        );
        let wanted = part.wanted.load(Ordering::Relaxed);
        let idle = wanted == 0 && left >= STOCK / 2;
        let extra = if idle || part.thirst.load(Ordering::Relaxed) {
            0
        } else {
            STOCK
        };
        Some(Account {
            granted,
            drawn: granted - left,
            need: wanted.saturating_sub(left),
            extra,
        })
    }

    /// So many were granted in all: as many as [`account`](Self::account) has said, or more.
    pub(crate) fn grant(&self, total: u64) {
        let Some(part) = &self.part else {
            return;
        };
        let before = part.granted.load(Ordering::Relaxed);
        let more = total.saturating_sub(before);
        if more > 0 {
            part.granted.store(total, Ordering::Relaxed);
            self.left.fetch_add(more, Ordering::Relaxed);
            part.news.notify_waiters();
        }
    }

    /// How the others are doing: whether some wait for bytes, and whether all are spent.
    pub(crate) fn heard(&self, thirst: bool, spent: bool) {
        let Some(part) = &self.part else {
            return;
        };
        part.thirst.store(thirst, Ordering::Relaxed);
        if spent {
            part.spent.store(true, Ordering::Relaxed);
            part.news.notify_waiters();
        }
    }

    /// Begins anew: what was granted was taken back.
    pub(crate) fn begin(&self) {
        if let Some(part) = &self.part {
            self.left.store(0, Ordering::Relaxed);
            part.granted.store(0, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("granted", &self.granted)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// A fetch that waits for bytes. It may be dropped while it does.
struct Wanted<'p>(&'p Part, u64);

impl<'p> Wanted<'p> {
    fn new(part: &'p Part, bytes: u64) -> Self {
        part.wanted.fetch_add(bytes, Ordering::Relaxed);
        if let Some(call) = part.call.get() {
            call();
        }
        Self(part, bytes)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn no_byte_is_given_twice() {
        let budget = ByteBudget::new(1_000_001);
        let taken: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4)
                .map(|step| {
                    let budget = &budget;
                    scope.spawn(move || {
                        std::iter::repeat_with(|| budget.take(step * 7))
                            .take_while(|&n| n > 0)
                            .sum::<u64>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1_000_001);
        assert!(budget.is_spent());
        let unlimited = ByteBudget::new(u64::MAX);
        assert_eq!(unlimited.take(u64::MAX), u64::MAX);
        assert!(!unlimited.is_spent());
    }

    #[test]
    fn a_part_is_filled_up_on_demand_and_gives_back_what_others_need() {
        heist::block_on(async {
            let budget = Arc::new(ByteBudget::part_of(1 << 30));
            let mine = Arc::clone(&budget);
            let fetch = heist::spawn(async move { mine.draw(100).await });
            let mut account;
            while {
                account = budget.account().unwrap();
                account.need < 100
            } {
                heist::task::yield_now().await;
            }
            assert_eq!((account.granted, account.extra), (0, STOCK));
            // Half of it, then the rest and more.
            budget.grant(50);
            while budget.account().unwrap().need != 50 {
                heist::task::yield_now().await;
            }
            budget.grant(1000);
            assert_eq!(fetch.await.unwrap(), 100);
            assert_eq!(budget.account().unwrap().drawn, 100);
            budget.heard(true, false);
            let given_back = Account {
                granted: 100,
                drawn: 100,
                need: 0,
                extra: 0,
            };
            assert_eq!(budget.account(), Some(given_back));
            let mine = Arc::clone(&budget);
            let last = heist::spawn(async move { mine.draw(7).await });
            while budget.account().unwrap().need == 0 {
                heist::task::yield_now().await;
            }
            budget.grant(103);
            budget.heard(false, true);
            assert_eq!(last.await.unwrap(), 3);
            assert!(budget.is_spent());
        });
    }
}
