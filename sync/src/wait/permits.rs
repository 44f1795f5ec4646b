//! A number of permits and those who wait for them: what semaphores and mutexes are made of.
//!
//! One word is for the fast paths, the queue for the rest.
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

use super::{Locked, State, WaitQueue, Waiter, WakeBatch};
use crate::primitives::AtomicUsize;
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, Waker, ready};

const CLOSED: usize = 1;
const WAITERS: usize = 2;
/// One permit, in the word.
const PERMIT: usize = 4;

/// The most permits a word can count, with room for a mistake to be noticed.
pub(crate) const MAX_PERMITS: usize = usize::MAX / (2 * PERMIT);

/// They were closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Why none were taken without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// They were closed.
    Closed,
    /// Too few are free.
    TooFew,
}

/// Free permits and those who wait for them.
pub(crate) struct Permits {
    word: AtomicUsize,
    queue: WaitQueue<Want>,
}

/// What one waits for. A waiter that was taken out of the queue and still misses some was refused.
struct Want {
    wanted: usize,
    missing: usize,
}

impl Permits {
    #[cfg(not(loom))]
    pub(crate) const fn new(permits: usize) -> Self {
        assert!(
            permits <= MAX_PERMITS,
            "a semaphore counts at most MAX_PERMITS permits"
        );
        Self {
            word: AtomicUsize::new(permits * PERMIT),
            queue: WaitQueue::new(()),
        }
    }

    /// None, and closed.
    #[cfg(not(loom))]
    pub(crate) const fn new_closed() -> Self {
        Self {
            word: AtomicUsize::new(CLOSED),
            queue: WaitQueue::new(()),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(permits: usize) -> Self {
        Self {
            word: AtomicUsize::new(permits * PERMIT),
            queue: WaitQueue::new(()),
        }
    }

    /// How many permits are free.
    pub(crate) fn available(&self) -> usize {
        self.word.load(Acquire) / PERMIT
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Acquire) & CLOSED != 0
    }

    /// Takes permits if they are free. Never waits, not even for the lock.
    pub(crate) fn try_take(&self, wanted: usize) -> Result<(), Refusal> {
        let mut word = self.word.load(Acquire);
        loop {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if word / PERMIT < wanted {
                return Err(Refusal::TooFew);
            }
            match self.swap(word, word - wanted * PERMIT) {
                Ok(()) => return Ok(()),
                Err(actual) => word = actual,
            }
        }
    }

    /// Takes up to so many free permits, even from a closed semaphore, and returns how many.
    pub(crate) fn take_up_to(&self, wanted: usize) -> usize {
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
    pub(crate) fn take(&self, wanted: usize, leaf: Leaf) -> Take<'_> {
        let want = Want {
            wanted,
            missing: wanted,
        };
        Take {
            permits: self,
            wanted,
            done: false,
            leaf,
            waiter: Waiter::new(&self.queue, want),
        }
    }

    /// Gives permits back, or adds new ones. Panics if there would be more than `MAX_PERMITS`.
    pub(crate) fn put(&self, permits: usize) {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            let sum = word_with(word, permits).expect(TOO_MANY);
            match self.swap(word, sum) {
                Ok(()) => return,
                Err(actual) => word = actual,
            }
        }
        self.put_locked(self.queue.lock(), permits);
    }

    /// Hands permits to the waiters in turn, and frees the rest.
    fn put_locked<'c>(&'c self, mut locked: Locked<'c, Want, ()>, mut permits: usize) {
        let mut batch = WakeBatch::new();
        loop {
            while !batch.is_full()
                && let Some(waker) = grant(&mut locked, &mut permits)
            {
                batch.push(waker);
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
            locked = self.queue.lock();
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
    pub(crate) fn close(&self) {
        let mut locked = self.queue.lock();
        self.word.fetch_or(CLOSED, AcqRel);
        let mut batch = WakeBatch::new();
        let mut returned = 0;
        loop {
            while !batch.is_full()
                && let Some(held) = locked.with_front(|want| want.wanted - want.missing)
                && let Some(waker) = locked.pop_front()
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
            locked = self.queue.lock();
        }
    }

    fn swap(&self, old: usize, new: usize) -> Result<(), usize> {
        // Release, for what a holder did before it gave a permit back; acquire, for who gets it.
        self.word
            .compare_exchange_weak(old, new, AcqRel, Acquire)
            .map(drop)
    }
}

/// Gives permits to the first waiter. If that is all it misses, the waiter leaves the queue and its
/// waker is returned; else it keeps what it got, and no permits are left.
fn grant(locked: &mut Locked<'_, Want, ()>, permits: &mut usize) -> Option<Waker> {
    let complete = locked.with_front(|want| {
        let granted = want.missing.min(*permits);
        want.missing -= granted;
        *permits -= granted;
        want.missing == 0
    })?;
    if complete { locked.pop_front() } else { None }
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
    pub(crate) struct Take<'c> {
        permits: &'c Permits,
        wanted: usize,
        // The permits, or the refusal, have been passed on.
        done: bool,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'c, Want>,
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
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.waiter.state() == State::Waiting {
            let mut locked = this.permits.queue.lock();
            let held = locked.with_entry(&this.waiter, |want| want.wanted - want.missing);
            let (_, waker) = locked.remove(&this.waiter);
            if let Some(held) = held {
                // The part it had belongs to the next in turn. Even if it had none, it may have
                // been the last one, and `WAITERS` must go.
                this.permits.put_locked(locked, held);
                drop(waker);
                return;
            }
        }
        if this.waiter.state() == State::Granted && is_served(this.waiter.as_mut()) {
            this.permits.put(*this.wanted);
        }
    }

    /// Takes the permits or a place in the queue, whichever there is.
    fn poll_first(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let this = self.project();
        ready!(this.leaf.start());
        let permits = *this.permits;
        match permits.try_take(*this.wanted) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(Refusal::Closed) => return Poll::Ready(Err(Closed)),
            Err(Refusal::TooFew) => {}
        }
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = cx.waker().clone();
        let mut locked = permits.queue.lock();
        let mut word = permits.word.load(Acquire);
        let outcome = loop {
            if word & CLOSED != 0 {
                break Err(Closed);
            }
            if word & WAITERS != 0 {
                // It stays so while we hold the lock, and nothing is free: no need to touch it.
                locked.enqueue(this.waiter.as_ref(), waker);
                return this.leaf.pending();
            }
            let free = word / PERMIT;
            let enough = free >= *this.wanted;
            let rest = if enough {
                word - *this.wanted * PERMIT
            } else {
                (word - free * PERMIT) | WAITERS
            };
            match permits.swap(word, rest) {
                Ok(()) if enough => break Ok(()),
                Ok(()) => {
                    locked.enqueue(this.waiter.as_ref(), waker);
                    locked.with_entry(&this.waiter, |want| want.missing -= free);
                    return this.leaf.pending();
                }
                Err(actual) => word = actual,
            }
        };
        drop(locked);
        Poll::Ready(outcome)
    }
}

/// Whether a waiter that is not queued any more got what it wanted.
fn is_served(waiter: Pin<&mut Waiter<'_, Want>>) -> bool {
    waiter.with_entry(|want| want.missing == 0)
}

impl Future for Take<'_> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.done, "polled again after it was done");
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.permits.queue.refresh(&self.waiter, cx.waker());
        }
        let outcome = match state {
            State::Idle => ready!(self.as_mut().poll_first(cx)),
            State::Waiting => return self.leaf.pending(),
            State::Granted | State::Released => {
                if is_served(self.as_mut().project().waiter) {
                    Ok(())
                } else {
                    Err(Closed)
                }
            }
        };
        *self.project().done = true;
        Poll::Ready(outcome)
    }
}

impl<'c> Take<'c> {
    /// Turns what comes out into something else, without a wait in between.
    pub(crate) fn then<R, F>(self, then: F) -> Then<'c, F>
    where
        F: FnOnce(Result<(), Closed>) -> R,
    {
        Then {
            take: self,
            then: Some(then),
        }
    }
}

pin_project! {
    /// Waits for permits, and makes something of them.
    pub(crate) struct Then<'c, F> {
        #[pin]
        take: Take<'c>,
        then: Option<F>,
    }
}

impl<R, F: FnOnce(Result<(), Closed>) -> R> Future for Then<'_, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let taken = ready!(this.take.poll(cx));
        let then = this
            .then
            .take()
            .expect("the poll above panics after the end");
        Poll::Ready(then(taken))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::pin::pin;

    /// If the note that somebody waits stayed behind, all would work, but never fast again.
    ///
    /// Control, tried: a `free` that leaves `WAITERS` set.
    #[test]
    fn the_fast_path_comes_back_when_nobody_waits() {
        for end in 0..3 {
            let permits = Permits::new(1);
            let mut cx = Context::from_waker(Waker::noop());
            {
                let mut take = pin!(permits.take(2, Leaf::here()));
                assert!(take.as_mut().poll(&mut cx).is_pending());
                assert_eq!(permits.word.load(Relaxed) & WAITERS, WAITERS);
                assert_eq!(permits.available(), 0, "collected by the one who waits");
                match end {
                    0 => permits.put(1),
                    1 => permits.close(),
                    _ => {}
                }
            }
            assert_eq!(permits.word.load(Relaxed) & WAITERS, 0);
            assert_eq!(permits.available(), if end == 0 { 2 } else { 1 });
        }
    }
}
