//! The counting, without permits as values: one word for the fast paths, the queue for the rest.
//!
//! # The word
//!
//! | bits | meaning |
//! |---|---|
//! | 0, `CLOSED` | no permit is given out any more; never cleared |
//! | 1, `WAITERS` | the queue is not empty; set and cleared under its lock |
//! | 2 and up | permits that are free |
//!
//! While `WAITERS` is set no permit is free: those given back go to the first waiter, even if it
//! needs more than there are, and those who come later find nothing to take. This is all the
//! fairness there is to it, and the reason why the fast paths need not look at the queue: taking
//! permits needs free ones, and giving them back needs the absence of `WAITERS`, each one
//! compare-and-swap. Whoever queues sets the bit with the same operation that finds too few
//! permits, so permits cannot be given back unseen between the two.

use super::TryAcquireError;
use super::waiters::{Locked, State, Waiter, Waiters, WakeBatch};
use crate::primitives::AtomicUsize;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, ready};

const CLOSED: usize = 1;
const WAITERS: usize = 2;
/// One permit, in the word.
const PERMIT: usize = 4;

/// The most permits a word can count, with room for a mistake to be noticed.
pub(super) const MAX_PERMITS: usize = usize::MAX / (2 * PERMIT);

/// The semaphore was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Free permits and those who wait for them.
pub(super) struct Core {
    word: AtomicUsize,
    waiters: Waiters,
}

impl Core {
    #[cfg(not(loom))]
    pub(super) const fn new(permits: usize) -> Self {
        assert!(
            permits <= MAX_PERMITS,
            "a semaphore counts at most MAX_PERMITS permits"
        );
        Self {
            word: AtomicUsize::new(permits * PERMIT),
            waiters: Waiters::new(),
        }
    }

    #[cfg(loom)]
    pub(super) fn new(permits: usize) -> Self {
        Self {
            word: AtomicUsize::new(permits * PERMIT),
            waiters: Waiters::new(),
        }
    }

    /// How many permits are free.
    pub(super) fn available(&self) -> usize {
        self.word.load(Acquire) / PERMIT
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Acquire) & CLOSED != 0
    }

    /// Takes permits if they are free. Never waits, not even for the lock.
    pub(super) fn try_take(&self, wanted: usize) -> Result<(), TryAcquireError> {
        let mut word = self.word.load(Acquire);
        loop {
            if word & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if word / PERMIT < wanted {
                return Err(TryAcquireError::NoPermits);
            }
            match self.swap(word, word - wanted * PERMIT) {
                Ok(()) => return Ok(()),
                Err(actual) => word = actual,
            }
        }
    }

    /// Takes up to so many free permits, even from a closed semaphore, and returns how many.
    pub(super) fn take_up_to(&self, wanted: usize) -> usize {
        let mut word = self.word.load(Acquire);
        loop {
            let taken = wanted.min(word / PERMIT);
            match self.swap(word, word - taken * PERMIT) {
                Ok(()) => return taken,
                Err(actual) => word = actual,
            }
        }
    }

    /// Waits for permits, after those who came before. Dropping the future gives up its place and
    /// whatever it has been given.
    pub(super) fn take(&self, wanted: usize) -> Take<'_> {
        Take {
            core: self,
            wanted,
            done: false,
            waiter: Waiter::new(&self.waiters),
        }
    }

    /// Gives permits back, or adds new ones. Panics if there would be more than `MAX_PERMITS`.
    pub(super) fn put(&self, permits: usize) {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            let sum = word_with(word, permits).expect(TOO_MANY);
            match self.swap(word, sum) {
                Ok(()) => return,
                Err(actual) => word = actual,
            }
        }
        self.put_locked(self.waiters.lock(), permits);
    }

    /// Hands permits to the waiters in turn, and frees the rest.
    fn put_locked<'c>(&'c self, mut locked: Locked<'c>, mut permits: usize) {
        let mut batch = WakeBatch::new();
        loop {
            while !batch.is_full() {
                let Some(waker) = locked.grant(&mut permits) else {
                    break;
                };
                batch.push(Some(waker));
            }
            let counted = !locked.is_empty() || self.free(permits);
            let done = permits == 0 || locked.is_empty();
            drop(locked);
            batch.wake();
            // Only now, so that the panic costs nobody a wake-up.
            assert!(counted, "{TOO_MANY}");
            if done {
                return;
            }
            locked = self.waiters.lock();
        }
    }

    /// Frees permits under the lock and notes that nobody waits. `false` if they are too many.
    fn free(&self, permits: usize) -> bool {
        let mut word = self.word.load(Relaxed);
        loop {
            let sum = word_with(word & !WAITERS, permits);
            match self.swap(word, sum.unwrap_or(word & !WAITERS)) {
                Ok(()) => return sum.is_some(),
                Err(actual) => word = actual,
            }
        }
    }

    /// Refuses everybody from now on, those who wait included.
    pub(super) fn close(&self) {
        let mut locked = self.waiters.lock();
        self.word.fetch_or(CLOSED, AcqRel);
        let mut batch = WakeBatch::new();
        let mut returned = 0;
        loop {
            while !batch.is_full()
                && let Some((waker, held)) = locked.refuse()
            {
                returned += held;
                batch.push(waker);
            }
            let done = locked.is_empty();
            if done {
                self.free(returned);
            }
            drop(locked);
            batch.wake();
            if done {
                return;
            }
            locked = self.waiters.lock();
        }
    }

    fn swap(&self, old: usize, new: usize) -> Result<(), usize> {
        // Release, for what a holder did before it gave a permit back; acquire, for who gets it.
        self.word
            .compare_exchange_weak(old, new, AcqRel, Acquire)
            .map(drop)
    }
}

const TOO_MANY: &str = "a semaphore counts at most MAX_PERMITS permits";

/// The word with more permits, unless they are too many.
fn word_with(word: usize, permits: usize) -> Option<usize> {
    let sum = (word / PERMIT)
        .checked_add(permits)
        .filter(|sum| *sum <= MAX_PERMITS)?;
    Some((sum * PERMIT) | (word % PERMIT))
}

pin_project! {
    /// Waits for permits.
    pub(super) struct Take<'c> {
        core: &'c Core,
        wanted: usize,
        // The permits, or the refusal, have been passed on.
        done: bool,
        #[pin]
        waiter: Waiter<'c>,
    }

    impl PinnedDrop for Take<'_> {
        fn drop(this: Pin<&mut Self>) {
            if !this.done {
                this.give_up();
            }
        }
    }
}

impl Take<'_> {
    /// Leaves the queue, or gives back what was granted and not yet taken note of.
    fn give_up(&self) {
        match self.waiter.state() {
            State::Idle | State::Closed => {}
            State::Granted => self.core.put(self.wanted),
            State::Waiting => {
                let mut locked = self.core.waiters.lock();
                match locked.remove(&self.waiter) {
                    // The part it had belongs to the next in turn. Even if it had none, it may
                    // have been the last one, and `WAITERS` must go.
                    Some((waker, held)) => {
                        self.core.put_locked(locked, held);
                        drop(waker);
                    }
                    None => {
                        drop(locked);
                        // A final state, reached while we took the lock.
                        if self.waiter.state() == State::Granted {
                            self.core.put(self.wanted);
                        }
                    }
                }
            }
        }
    }

    /// Takes the permits or a place in the queue, whichever there is.
    fn poll_queue(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let this = self.project();
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = cx.waker().clone();
        let mut locked = this.core.waiters.lock();
        let mut word = this.core.word.load(Acquire);
        let outcome = loop {
            if word & CLOSED != 0 {
                break Poll::Ready(Err(Closed));
            }
            let free = word / PERMIT;
            let enough = free >= *this.wanted;
            let taken = free.min(*this.wanted) * PERMIT;
            let rest = if enough {
                word - taken
            } else {
                (word - taken) | WAITERS
            };
            match this.core.swap(word, rest) {
                Ok(()) if enough => break Poll::Ready(Ok(())),
                Ok(()) => {
                    locked.enqueue(
                        this.waiter.as_ref(),
                        *this.wanted,
                        *this.wanted - free,
                        waker,
                    );
                    return Poll::Pending;
                }
                Err(actual) => word = actual,
            }
        };
        drop(locked);
        outcome
    }

    /// Makes sure that the waker of the last poll is the one to be woken.
    fn poll_waiting(&self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let waker = cx.waker().clone();
        let mut locked = self.core.waiters.lock();
        let unused = locked.replace_waker(&self.waiter, waker);
        drop(locked);
        drop(unused);
        self.outcome()
    }

    fn outcome(&self) -> Poll<Result<(), Closed>> {
        match self.waiter.state() {
            State::Idle | State::Waiting => Poll::Pending,
            State::Granted => Poll::Ready(Ok(())),
            State::Closed => Poll::Ready(Err(Closed)),
        }
    }
}

impl Future for Take<'_> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.done, "polled again after it was done");
        let outcome = match self.waiter.state() {
            State::Idle => self.as_mut().poll_queue(cx),
            State::Waiting => self.poll_waiting(cx),
            State::Granted | State::Closed => self.outcome(),
        };
        let outcome = ready!(outcome);
        *self.project().done = true;
        Poll::Ready(outcome)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Waker;

    /// If the note that somebody waits stayed behind, all would work, but never fast again.
    #[test]
    fn the_fast_path_comes_back_when_nobody_waits() {
        for end in 0..3 {
            let core = Core::new(1);
            let mut cx = Context::from_waker(Waker::noop());
            {
                let mut take = pin!(core.take(2));
                assert!(take.as_mut().poll(&mut cx).is_pending());
                assert_eq!(core.word.load(Relaxed) & WAITERS, WAITERS);
                assert_eq!(core.available(), 0, "collected by the one who waits");
                match end {
                    0 => core.put(1),
                    1 => core.close(),
                    _ => {}
                }
            }
            assert_eq!(core.word.load(Relaxed) & WAITERS, 0);
            assert_eq!(core.available(), if end == 0 { 2 } else { 1 });
        }
    }
}
