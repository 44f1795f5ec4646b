//! A fair queue of those who wait: an intrusive list, so that waiting allocates nothing.
//!
//! The functions here are safe to call. A [`Waiter`] is a field of the future that waits, and while
//! it is queued the list points into it:
//!
//! | state of the waiter | linked | who may touch the links, the entry and the waker |
//! |---|---|---|
//! | `Idle` | no | the owner |
//! | `Waiting` | yes | whoever holds the queue's lock |
//! | `Granted`, `Released` | no | the owner, since it has seen the state |
//!
//! States change under the lock only, but for the owner's return to `Idle` from the last two.
//! Storing one of those is the last time that anyone but the owner touches the waiter: the owner
//! may see it without the lock, and be gone at once.
//!
//! # One by one, and all together
//!
//! [`Locked::pop_front`] grants to one. [`Locked::release_all`] reaches everybody who is queued at
//! that moment and nobody else, however many they are: it moves the whole list aside at once, and
//! [`Locked::wake_released`] then wakes them in batches without keeping the lock. Nobody else can
//! be granted anything through them in between, since those who grant see the other list only; and
//! whoever looks for itself, or leaves, finds out that it was released. Waiters are numbered for
//! that: those with a number below that of the last release are on the list set aside.

#![expect(
    unsafe_code,
    reason = "the list links waiters that live inside pinned futures"
)]

use super::WakeBatch;
use crate::primitives::{AtomicU8, Mutex, MutexGuard, UnsafeCell};
use std::marker::PhantomPinned;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::Waker;

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Not in the queue, and nothing was given to it.
    Idle,
    /// In the queue.
    Waiting,
    /// Taken out of the queue by itself, with something in its entry or by this alone.
    Granted,
    /// Taken out of the queue together with everybody else.
    Released,
}

/// Those who wait, each with an entry of type `E`, and what else their lock guards.
pub(crate) struct WaitQueue<E, S = ()> {
    inner: Mutex<Inner<E, S>>,
}

struct Inner<E, S> {
    /// Those to whom something may be granted.
    live: List<E>,
    /// Those who were released, and are not woken yet.
    released: List<E>,
    /// The number of the next who comes.
    next_number: u64,
    /// Those with lower numbers are released.
    released_below: u64,
    shared: S,
}

/// The ends of a list. It owns none of the nodes.
struct List<E> {
    head: Option<NonNull<Node<E>>>,
    tail: Option<NonNull<Node<E>>>,
}

// SAFETY: it is used under the lock, which gives whoever holds it the entries that it links, like a
// collection of them; the rest of a node may move between threads.
unsafe impl<E: Send> Send for List<E> {}

/// The queue with its lock held. Derefs to what else the lock guards.
pub(crate) struct Locked<'q, E, S> {
    queue: &'q WaitQueue<E, S>,
    inner: MutexGuard<'q, Inner<E, S>>,
}

/// One who waits, as a pinned part of its future. Dropping it takes it out of the queue.
pub(crate) struct Waiter<'q, E, S = ()> {
    queue: &'q WaitQueue<E, S>,
    node: Node<E>,
}

struct Node<E> {
    state: AtomicU8,
    guarded: UnsafeCell<Guarded<E>>,
    _pinned: PhantomPinned,
}

// SAFETY: the table in the module's description gives every access to `guarded` one owner, and the
// lock or the acquire load of the state orders the accesses of successive owners. So nobody has a
// shared reference to the entry, and that it may be sent is enough.
unsafe impl<E: Send> Send for Node<E> {}
// SAFETY: as above; `state` is atomic.
unsafe impl<E: Send> Sync for Node<E> {}

struct Guarded<E> {
    prev: Option<NonNull<Node<E>>>,
    next: Option<NonNull<Node<E>>>,
    number: u64,
    waker: Option<Waker>,
    entry: E,
}

impl<E, S> WaitQueue<E, S> {
    #[cfg(not(loom))]
    pub(crate) const fn new(shared: S) -> Self {
        Self {
            inner: Mutex::new(Inner::new(shared)),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(shared: S) -> Self {
        Self {
            inner: Mutex::new(Inner::new(shared)),
        }
    }

    /// Takes the lock. No code of the user's runs under it, so poison means nothing.
    pub(crate) fn lock(&self) -> Locked<'_, E, S> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { queue: self, inner }
    }

    /// Makes sure that it is this waker that will wake a waiter of this queue, and returns the state
    /// of the waiter: if that is not `Waiting`, it is not queued any more.
    pub(crate) fn refresh(&self, waiter: &Waiter<'_, E, S>, waker: &Waker) -> State {
        let mut locked = self.lock();
        if locked.has_waker(waiter, waker) {
            return State::Waiting;
        }
        // Cloning and dropping a waker runs foreign code, which stays outside of the lock.
        drop(locked);
        let waker = waker.clone();
        let mut locked = self.lock();
        let (state, unused) = locked.replace_waker(waiter, waker);
        drop(locked);
        drop(unused);
        state
    }
}

impl<E, S> Inner<E, S> {
    const fn new(shared: S) -> Self {
        Self {
            live: List::new(),
            released: List::new(),
            next_number: 0,
            released_below: 0,
            shared,
        }
    }
}

impl<'q, E, S> Waiter<'q, E, S> {
    /// A waiter that is not queued yet.
    pub(crate) fn new(queue: &'q WaitQueue<E, S>, entry: E) -> Self {
        let guarded = Guarded {
            prev: None,
            next: None,
            number: 0,
            waker: None,
            entry,
        };
        let node = Node {
            state: AtomicU8::new(State::Idle as u8),
            guarded: UnsafeCell::new(guarded),
            _pinned: PhantomPinned,
        };
        Self { queue, node }
    }

    /// Where it stands. `Waiting` may be over at any time but under the lock, and includes those who
    /// were released and have not been told.
    pub(crate) fn state(&self) -> State {
        self.node.state()
    }

    /// Accesses what it brought, or was given.
    ///
    /// # Panics
    ///
    /// If it is in the queue, where [`Locked::with_entry`] does the same.
    pub(crate) fn with_entry<R>(self: Pin<&mut Self>, access: impl FnOnce(&mut E) -> R) -> R {
        assert!(self.state() != State::Waiting, "the queue has the entry");
        let node = NonNull::from_ref(&self.as_ref().get_ref().node);
        // SAFETY: it is not queued, and `self` is borrowed mutably, so nobody else queues it.
        unsafe { Node::with(node, |own| access(&mut own.entry)) }
    }

    /// Makes it idle, and returns the state that this ends: after `Waiting` it has left the queue,
    /// and after `Granted` there may be something to be passed on. It can be queued again.
    pub(crate) fn cancel(self: Pin<&mut Self>) -> State {
        let mut state = self.state();
        if state == State::Waiting {
            let mut locked = self.queue.lock();
            let (until_now, waker) = locked.remove(self.as_ref().get_ref());
            drop(locked);
            drop(waker);
            state = until_now;
        }
        // Relaxed: it is not queued, and nobody queues it while it is borrowed mutably.
        self.node.state.store(State::Idle as u8, Relaxed);
        state
    }
}

impl<E, S> Drop for Waiter<'_, E, S> {
    fn drop(&mut self) {
        if self.state() == State::Waiting {
            let mut locked = self.queue.lock();
            let (_, waker) = locked.remove(self);
            drop(locked);
            drop(waker);
        }
    }
}

impl<E, S> Locked<'_, E, S> {
    /// Whether nobody is queued to whom something could be granted.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.live.head.is_none()
    }

    /// Puts a waiter at the end.
    ///
    /// # Panics
    ///
    /// If it is not idle, or belongs to another queue.
    pub(crate) fn enqueue(&mut self, waiter: Pin<&Waiter<'_, E, S>>, waker: Waker) {
        self.check(&waiter);
        assert!(waiter.state() == State::Idle, "a waiter queues once");
        let node = NonNull::from_ref(&waiter.get_ref().node);
        let number = self.inner.next_number;
        self.inner.next_number += 1;
        let prev = self.inner.live.tail.replace(node);
        let join = |own: &mut Guarded<E>| {
            own.prev = prev;
            own.next = None;
            own.number = number;
            own.waker = Some(waker);
        };
        // SAFETY: the waiter is idle and only those with the lock queue it, so the node is ours. It
        // stays where it is until it is dropped, since it is pinned, and the drop unlinks it.
        unsafe { Node::with(node, join) };
        match prev {
            // SAFETY: `prev` was the tail, so it is linked here, and we hold the lock.
            Some(prev) => unsafe { Node::with(prev, |prev| prev.next = Some(node)) },
            None => self.inner.live.head = Some(node),
        }
        // Relaxed: others find the node through the lock.
        waiter.node.state.store(State::Waiting as u8, Relaxed);
    }

    /// Accesses the entry of the first waiter, if there is one.
    pub(crate) fn with_front<R>(&mut self, access: impl FnOnce(&mut E) -> R) -> Option<R> {
        let head = self.inner.live.head?;
        // SAFETY: the head is linked here, and we hold the lock.
        Some(unsafe { Node::with(head, |own| access(&mut own.entry)) })
    }

    /// Accesses the entry of the last waiter, if there is one.
    pub(crate) fn with_back<R>(&mut self, access: impl FnOnce(&mut E) -> R) -> Option<R> {
        let tail = self.inner.live.tail?;
        // SAFETY: the tail is linked here, and we hold the lock.
        Some(unsafe { Node::with(tail, |own| access(&mut own.entry)) })
    }

    /// Grants to the first waiter: takes it out and returns its waker, to be woken without the
    /// lock. `None` if there is no waiter.
    pub(crate) fn pop_front(&mut self) -> Option<Waker> {
        let head = self.inner.live.head?;
        self.finish(head, State::Granted)
    }

    /// Grants to the last waiter, like [`pop_front`](Self::pop_front).
    pub(crate) fn pop_back(&mut self) -> Option<Waker> {
        let tail = self.inner.live.tail?;
        self.finish(tail, State::Granted)
    }

    /// Releases everybody who is queued now. [`wake_released`](Self::wake_released) has to follow.
    pub(crate) fn release_all(&mut self) {
        let inner = &mut *self.inner;
        inner.released_below = inner.next_number;
        let Some(head) = inner.live.head.take() else {
            return;
        };
        let prev = inner.released.tail;
        inner.released.tail = inner.live.tail.take();
        match prev {
            None => inner.released.head = Some(head),
            Some(prev) => {
                // SAFETY: the tail of a list is linked here, and we hold the lock.
                unsafe { Node::with(prev, |prev| prev.next = Some(head)) };
                // SAFETY: so was this head of the other list until now.
                unsafe { Node::with(head, |head| head.prev = Some(prev)) };
            }
        }
    }

    /// Wakes everybody who was released, in batches and without the lock. Those that somebody else
    /// is about to wake at the same time may be woken after it returns.
    pub(crate) fn wake_released(self) {
        let queue = self.queue;
        let mut locked = self;
        let mut batch = WakeBatch::new();
        loop {
            while !batch.is_full()
                && let Some(head) = locked.inner.released.head
            {
                if let Some(waker) = locked.finish(head, State::Released) {
                    batch.push(waker);
                }
            }
            let done = locked.inner.released.head.is_none();
            drop(locked);
            batch.wake();
            if done {
                return;
            }
            locked = queue.lock();
        }
    }

    /// Accesses the entry of a waiter of this queue, if it is queued and was not released.
    pub(crate) fn with_entry<R>(
        &mut self,
        waiter: &Waiter<'_, E, S>,
        access: impl FnOnce(&mut E) -> R,
    ) -> Option<R> {
        if self.state_of(waiter) != State::Waiting {
            return None;
        }
        let node = NonNull::from_ref(&waiter.node);
        // SAFETY: the waiter is queued here, and we hold the lock.
        Some(unsafe { Node::with(node, |own| access(&mut own.entry)) })
    }

    /// Takes a waiter of this queue out if it is queued, and returns its state until then with its
    /// waker, to be dropped without the lock. Afterwards it is idle, unless something was granted to
    /// it or it was released and told so, which the state says.
    pub(crate) fn remove(&mut self, waiter: &Waiter<'_, E, S>) -> (State, Option<Waker>) {
        let state = self.state_of(waiter);
        let waker = if waiter.state() == State::Waiting {
            self.finish(NonNull::from_ref(&waiter.node), State::Idle)
        } else {
            None
        };
        (state, waker)
    }

    /// Gives a waiter that is still queued another waker, and returns its state and the waker to be
    /// dropped. If it was released it leaves the queue.
    fn replace_waker(&mut self, waiter: &Waiter<'_, E, S>, waker: Waker) -> (State, Option<Waker>) {
        let node = NonNull::from_ref(&waiter.node);
        match self.state_of(waiter) {
            State::Waiting => {
                // SAFETY: the waiter is queued here, and we hold the lock.
                let old = unsafe { Node::with(node, |own| own.waker.replace(waker)) };
                (State::Waiting, old)
            }
            State::Released if waiter.state() == State::Waiting => {
                (State::Released, self.finish(node, State::Released))
            }
            state => (state, Some(waker)),
        }
    }

    /// Whether a waiter is queued, not released, and has a waker that does the same.
    fn has_waker(&mut self, waiter: &Waiter<'_, E, S>, waker: &Waker) -> bool {
        if self.state_of(waiter) != State::Waiting {
            return false;
        }
        let same =
            |own: &mut Guarded<E>| own.waker.as_ref().is_some_and(|own| own.will_wake(waker));
        // SAFETY: the waiter is queued here, and we hold the lock.
        unsafe { Node::with(NonNull::from_ref(&waiter.node), same) }
    }

    /// Where a waiter of this queue stands; released though it is still linked, if that is so.
    fn state_of(&mut self, waiter: &Waiter<'_, E, S>) -> State {
        self.check(waiter);
        let state = waiter.state();
        if state != State::Waiting {
            return state;
        }
        let node = NonNull::from_ref(&waiter.node);
        // SAFETY: the waiter is queued here, and we hold the lock.
        let number = unsafe { Node::with(node, |own| own.number) };
        if number < self.inner.released_below {
            State::Released
        } else {
            State::Waiting
        }
    }

    /// Unlinks a node of this queue and gives it its next state: the last touch, if that is final.
    fn finish(&mut self, node: NonNull<Node<E>>, state: State) -> Option<Waker> {
        let leave = |own: &mut Guarded<E>| {
            (
                own.prev.take(),
                own.next.take(),
                own.waker.take(),
                own.number,
            )
        };
        // SAFETY: our callers found the node linked here, and we hold the lock.
        let (prev, next, waker, number) = unsafe { Node::with(node, leave) };
        let inner = &mut *self.inner;
        let list = if number < inner.released_below {
            &mut inner.released
        } else {
            &mut inner.live
        };
        match prev {
            // SAFETY: the neighbour of a linked node is linked, and we hold the lock.
            Some(prev) => unsafe { Node::with(prev, |prev| prev.next = next) },
            None => list.head = next,
        }
        match next {
            // SAFETY: the neighbour of a linked node is linked, and we hold the lock.
            Some(next) => unsafe { Node::with(next, |next| next.prev = prev) },
            None => list.tail = prev,
        }
        // SAFETY: its owner cannot drop a waiting node without our lock, so it is alive.
        unsafe { node.as_ref() }.state.store(state as u8, Release);
        waker
    }

    /// All the safety here rests on holding the lock of the right queue.
    fn check(&self, waiter: &Waiter<'_, E, S>) {
        assert!(
            ptr::eq(self.queue, waiter.queue),
            "a waiter belongs to one queue"
        );
    }
}

impl<E, S> Deref for Locked<'_, E, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner.shared
    }
}

impl<E, S> DerefMut for Locked<'_, E, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inner.shared
    }
}

impl<E> List<E> {
    const fn new() -> Self {
        Self {
            head: None,
            tail: None,
        }
    }
}

impl<E> Node<E> {
    fn state(&self) -> State {
        match self.state.load(Acquire) {
            0 => State::Idle,
            1 => State::Waiting,
            2 => State::Granted,
            _ => State::Released,
        }
    }

    /// Accesses what the lock guards.
    ///
    /// # Safety
    ///
    /// The node is alive, and it is the caller's turn by the table in the module's description.
    /// `access` must not reach the same node by another way.
    unsafe fn with<R>(node: NonNull<Self>, access: impl FnOnce(&mut Guarded<E>) -> R) -> R {
        // SAFETY: it is alive, by the contract.
        let node = unsafe { node.as_ref() };
        node.guarded.with_mut(|guarded| {
            // SAFETY: nobody else may touch it now, by the contract.
            access(unsafe { &mut *guarded })
        })
    }
}
