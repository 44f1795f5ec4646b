//! Which workers sleep, and the protocol that loses no wake-up. `README.md` in this folder has the
//! argument.

use crate::primitives::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

const AWAKE: u32 = 0;
const PARKED: u32 = 1;

/// The sleep states of all workers.
#[derive(Debug)]
pub(crate) struct IdleSet {
    parked: Box<[AtomicU32]>,
    /// Workers whose state is `PARKED`; may lag behind the states by an instant.
    count: AtomicUsize,
    /// Workers that look for work in others' queues.
    searching: AtomicUsize,
}

impl IdleSet {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            parked: (0..workers).map(|_| AtomicU32::new(AWAKE)).collect(),
            count: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
        }
    }

    /// How many workers sleep; a hint.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn is_parked(&self, worker: usize) -> bool {
        self.parked[worker].load(Ordering::Relaxed) == PARKED
    }

    /// A worker announces that it is about to sleep. It must look at every source of work *after* this
    /// and call [`leave`](Self::leave) instead of sleeping if it finds any.
    pub(crate) fn announce(&self, worker: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.parked[worker].store(PARKED, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// A worker is awake again. Returns whether somebody had claimed it.
    pub(crate) fn leave(&self, worker: usize) -> bool {
        if self.parked[worker].swap(AWAKE, Ordering::AcqRel) == PARKED {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Takes the duty to wake `worker`, if it sleeps or is about to. The caller has published what the
    /// worker is to find.
    pub(crate) fn claim(&self, worker: usize) -> bool {
        fence(Ordering::SeqCst);
        self.claim_after_fence(worker)
    }

    fn claim_after_fence(&self, worker: usize) -> bool {
        let parked = &self.parked[worker];
        // A swap would do as well, but one that comes too late writes AWAKE over AWAKE, and loom then
        // admits orders in which it hides the next PARKED.
        if parked.load(Ordering::Relaxed) != PARKED
            || parked
                .compare_exchange(PARKED, AWAKE, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Takes the duty to wake some sleeping worker, looking from `start` on. The caller has published
    /// what it is to find.
    pub(crate) fn claim_any(&self, start: usize) -> Option<usize> {
        fence(Ordering::SeqCst);
        self.claim_any_after_fence(start)
    }

    fn claim_any_after_fence(&self, start: usize) -> Option<usize> {
        let workers = self.parked.len();
        (0..workers)
            .map(|offset| (start + offset) % workers)
            .find(|&worker| self.claim_after_fence(worker))
    }

    /// Takes the duty to wake some sleeping worker for a task that any worker may take, unless none sleeps
    /// or one that searches will come across it. The caller has published the task.
    pub(crate) fn claim_for_injected(&self, start: usize) -> Option<usize> {
        // Before both looks, and needed by both. The count lags behind the states; and whoever still
        // searches has a fence between the end of its search and its next look, which then comes after
        // this one, so that it sees the task.
        fence(Ordering::SeqCst);
        if self.count() == 0 || self.someone_searches() {
            return None;
        }
        self.claim_any_after_fence(start)
    }

    /// Whether a worker that searches now will look at everything again before it sleeps, so that a
    /// new task needs no wake-up.
    pub(crate) fn someone_searches(&self) -> bool {
        self.searching.load(Ordering::SeqCst) > 0
    }

    /// Starts a search unless enough others search already.
    pub(crate) fn begin_search(&self) -> bool {
        let awake = self.parked.len() - self.count().min(self.parked.len());
        if self.searching.load(Ordering::Relaxed) * 2 >= awake.max(1) {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// Ends a search. Returns whether it was the last one going on; what the caller looks at afterwards
    /// then includes every task whose pusher relied on the search.
    pub(crate) fn end_search(&self) -> bool {
        let last = self.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            fence(Ordering::SeqCst);
        }
        last
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::model::check_bounded;
    use loom::sync::Arc;
    use loom::thread;

    /// A queue of one task, as far as the protocol is concerned.
    fn publish(queue: &AtomicUsize) {
        queue.fetch_add(1, Ordering::Release);
    }

    /// A push racing with a worker that goes to sleep: the worker finds the task in its last look, or
    /// is claimed.
    ///
    /// Control, tried: an announcement without its fence, by a store that orders nothing.
    #[test]
    fn loom_push_against_park() {
        loom::model(|| {
            let idle = Arc::new(IdleSet::new(1));
            let queue = Arc::new(AtomicUsize::new(0));
            let producer = {
                let (idle, queue) = (idle.clone(), queue.clone());
                thread::spawn(move || {
                    publish(&queue);
                    idle.claim_any(0).is_some()
                })
            };
            idle.announce(0);
            let found = queue.load(Ordering::Acquire) > 0;
            let claimed = producer.join().expect("producer");
            assert!(found || claimed, "the worker sleeps on a task");
            assert_eq!(idle.leave(0), claimed);
            assert_eq!(idle.count(), 0);
        });
    }

    /// A message for one worker racing with its sleep, beside another sender: exactly one rings.
    ///
    /// Control, tried: a claim that looks and then writes, instead of exchanging.
    #[test]
    fn loom_two_senders_against_park() {
        loom::model(|| {
            let idle = Arc::new(IdleSet::new(1));
            let mail = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let (idle, mail) = (idle.clone(), mail.clone());
                    thread::spawn(move || {
                        publish(&mail);
                        usize::from(idle.claim(0))
                    })
                })
                .collect();
            idle.announce(0);
            let found = mail.load(Ordering::Acquire);
            let rings: usize = senders.into_iter().map(|s| s.join().expect("sender")).sum();
            assert!(rings <= 1);
            assert!(found == 2 || rings == 1, "a message was left behind");
            idle.leave(0);
            assert_eq!(idle.count(), 0);
        });
    }

    /// A push that skips the wake-up because somebody searches: the searcher finds the task before it
    /// sleeps.
    ///
    /// Control, tried: a claim for a pushed task without its fence.
    #[test]
    fn loom_push_against_search() {
        loom::model(|| {
            let idle = Arc::new(IdleSet::new(1));
            let queue = Arc::new(AtomicUsize::new(0));
            assert!(idle.begin_search());
            let producer = {
                let (idle, queue) = (idle.clone(), queue.clone());
                thread::spawn(move || {
                    publish(&queue);
                    idle.claim_for_injected(0).is_some()
                })
            };
            let mut found = queue.load(Ordering::Acquire) > 0;
            idle.end_search();
            if !found {
                idle.announce(0);
                found = queue.load(Ordering::Acquire) > 0;
            }
            let claimed = producer.join().expect("producer");
            assert!(found || claimed, "the worker sleeps on a task");
        });
    }

    /// A push that skips the wake-up because somebody searches who then finds another task: as the last
    /// searcher it sees the pushed one and wakes a sleeper for it.
    ///
    /// Control, tried: an end of a search without its fence.
    #[test]
    fn loom_push_against_a_search_that_finds() {
        loom::model(|| {
            let idle = Arc::new(IdleSet::new(2));
            let queue = Arc::new(AtomicUsize::new(0));
            idle.announce(1);
            assert!(idle.begin_search());
            let producer = {
                let (idle, queue) = (idle.clone(), queue.clone());
                thread::spawn(move || {
                    publish(&queue);
                    idle.claim_for_injected(0).is_some()
                })
            };
            let visible = idle.end_search() && queue.load(Ordering::Acquire) > 0;
            let passed_on = visible && idle.claim_any(0).is_some();
            let claimed = producer.join().expect("producer");
            assert!(passed_on || claimed, "a worker sleeps beside a task");
            assert!(!(passed_on && claimed));
            assert_eq!(idle.count(), 0);
        });
    }

    /// The same with two searchers, of which only the last to end looks.
    ///
    /// Control, tried: an end of a search that looks whether it is the last one before it counts itself out.
    #[test]
    fn loom_push_against_two_searches() {
        check_bounded(3, || {
            let idle = Arc::new(IdleSet::new(4));
            let queue = Arc::new(AtomicUsize::new(0));
            idle.announce(3);
            assert!(idle.begin_search() && idle.begin_search());
            let producer = {
                let (idle, queue) = (idle.clone(), queue.clone());
                thread::spawn(move || {
                    publish(&queue);
                    idle.claim_for_injected(3).is_some()
                })
            };
            // One finds another task.
            let finder = {
                let (idle, queue) = (idle.clone(), queue.clone());
                thread::spawn(move || {
                    let visible = idle.end_search() && queue.load(Ordering::Acquire) > 0;
                    visible && idle.claim_any(3).is_some()
                })
            };
            // The other finds nothing and goes to sleep.
            idle.end_search();
            idle.announce(0);
            let found = queue.load(Ordering::Acquire) > 0;
            let claimed = producer.join().expect("producer");
            let passed_on = finder.join().expect("finder");
            assert!(found || claimed || passed_on, "workers sleep on a task");
        });
    }

    /// Messages of two senders, and a worker that drains its mailbox and sleeps, with the bell as the only
    /// thing that ends its sleep: it never sleeps on a message, and gets every one.
    ///
    /// Control, tried: a claim without its fence.
    #[test]
    fn loom_mailbox_is_drained_before_sleep() {
        const MESSAGES: usize = 3;
        check_bounded(3, || {
            let idle = Arc::new(IdleSet::new(1));
            let bell = Arc::new(AtomicUsize::new(0));
            // A place per message orders less than any queue does.
            let mail: Arc<[AtomicUsize; MESSAGES]> =
                Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
            let has_mail = || mail.iter().any(|place| place.load(Ordering::Acquire) > 0);
            let mut senders: Vec<_> = [0..2, 2..MESSAGES]
                .into_iter()
                .map(|messages| {
                    let (idle, bell, mail) = (idle.clone(), bell.clone(), mail.clone());
                    thread::spawn(move || {
                        for message in messages {
                            publish(&mail[message]);
                            if idle.claim(0) {
                                bell.fetch_add(1, Ordering::AcqRel);
                            }
                        }
                    })
                })
                .collect();
            let mut read = 0;
            loop {
                for place in mail.iter() {
                    read += place.swap(0, Ordering::AcqRel);
                }
                if read == MESSAGES {
                    break;
                }
                idle.announce(0);
                if !has_mail() && bell.swap(0, Ordering::AcqRel) == 0 {
                    // Not rung yet: it sleeps, for as long as it takes.
                    for sender in senders.drain(..) {
                        sender.join().expect("sender");
                    }
                    let rung = bell.swap(0, Ordering::AcqRel) > 0;
                    assert!(rung, "the worker sleeps on a message");
                }
                idle.leave(0);
            }
            for sender in senders {
                sender.join().expect("sender");
            }
            assert_eq!(idle.count(), 0);
        });
    }
}
