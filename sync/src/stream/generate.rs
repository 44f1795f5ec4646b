//! `generate`: a stream written as a piece of ordinary code.
//!
//! The body of a generator is a future, and the stream polls it. They share one slot: the body puts
//! a value in and is pending, the stream finds it there and returns it. So a value takes no detour,
//! and the body stands still until the next one is wanted.
//!
//! # Closing
//!
//! A stream that is dropped drops its body, which runs destructors only. To let the body clean up
//! asynchronously, its stream is polled within a cancelled scope: an [`Emit`] stays pending there, so
//! the body unwinds from the very place where it has stopped, as Python's generators do.
//! [`using_stream`](crate::stream::using_stream) sees to that.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;

use crate::wait::wake;

/// A stream of the values that an asynchronous closure emits.
///
/// An asynchronous generator (`async def` with `yield`). The body starts when the first value is
/// asked for, and goes on after an [`emit`](Emitter::emit) when the next one is. The stream ends
/// when the body returns, and stays ended.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, generate};
///
/// let words = String::from("a stream of words");
/// let lengths = generate(async |y| {
///     for word in words.split(' ') {
///         y.emit(word.len()).await;
///     }
/// });
/// assert_eq!(lengths.collect::<Vec<_>>().await, [1, 6, 2, 5]);
/// # });
/// ```
///
/// The body may borrow from outside, await whatever it likes, and emit from within other async
/// functions that it lends its emitter to. The stream is [`Send`] if the body and the values are.
/// It is not `Unpin`: pin it, by [`pin!`](std::pin::pin) or [`Box::pin`], to call
/// [`next`](crate::stream::StreamExt::next).
///
/// A generator costs one small allocation; a value costs none.
///
/// # Panics
///
/// A panic of the body goes through to whoever asked for the next value.
///
/// # Cancel safety
///
/// A wait for the next value that is dropped leaves the body where it is. Dropping the stream drops
/// the body, wherever it is. A body that has scopes within, such as a
/// [`timeout`](crate::time::timeout()), unwinds with the scope that it is polled in. So give the wait for
/// its next value none of its own that ends earlier than the stream, or read it in a
/// [`using_stream`](crate::stream::using_stream), where it may have one.
pub fn generate<T, F>(body: F) -> impl Stream<Item = T>
where
    F: AsyncFnOnce(&mut Emitter<T>),
{
    let shared = Arc::new(Shared::new());
    let mut emitter = Emitter {
        shared: Arc::clone(&shared),
    };
    Generate {
        body: Some(async move { body(&mut emitter).await }),
        shared,
        task: None,
        emitter: None,
    }
}

/// Hands the values of a generator to its consumer. Lent by [`generate`].
pub struct Emitter<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Emitter<T> {
    /// Hands a value to the consumer, and waits until that asks for the next one.
    ///
    /// Python's `yield`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll it takes its value with it. After that the value reaches the
    /// consumer in any case, and the next `emit` waits for its turn. In a cancelled scope it neither
    /// hands over its value nor returns, so what comes after it does not run.
    #[track_caller]
    pub fn emit(&mut self, value: T) -> Emit<'_, T> {
        Emit {
            shared: &self.shared,
            value: Some(value),
            leaf: Leaf::here(),
        }
    }
}

impl<T> fmt::Debug for Emitter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").finish_non_exhaustive()
    }
}

/// Waits until the consumer of a generator asks for the next value. Made by [`Emitter::emit`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Emit<'a, T> {
    shared: &'a Shared<T>,
    /// The value, until it is in the slot.
    value: Option<T>,
    leaf: Leaf,
}

// The value is never pinned.
impl<T> Unpin for Emit<'_, T> {}

impl<T> Future for Emit<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // At every poll, not just the first one: there is nothing to lose by staying here, and a
        // generator that is closed must not go on as if it had been asked for more.
        ready!(self.leaf.start());
        if self.shared.is_full() {
            self.shared.wait(cx.waker());
            return self.leaf.pending();
        }
        let Some(value) = self.value.take() else {
            return Poll::Ready(());
        };
        self.shared.put(value, cx.waker());
        self.leaf.pending()
    }
}

impl<T> fmt::Debug for Emit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit")
            .field("handed_over", &self.value.is_none())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The stream of a generator.
    struct Generate<T, B> {
        // None once it is over.
        #[pin]
        body: Option<B>,
        shared: Arc<Shared<T>>,
        // The waker that the slot knows, to tell without a look there whether it changes.
        task: Option<Waker>,
        // Whom to wake before the body is polled for more.
        emitter: Option<Waker>,
    }
}

impl<T, B: Future<Output = ()>> Stream for Generate<T, B> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let task = cx.waker();
        if !this.task.as_ref().is_some_and(|old| old.will_wake(task)) {
            *this.task = Some(task.clone());
            this.shared.set_task(task.clone());
        }
        if let Some(emitter) = this.emitter.take() {
            wake(emitter);
        }
        let ended = body.poll(cx).is_ready();
        if ended {
            this.body.set(None);
        }
        if this.shared.is_full() {
            let (value, emitter) = this.shared.take();
            *this.emitter = emitter;
            return Poll::Ready(value);
        }
        if ended {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.body.is_none().then_some(0))
    }
}

/// What the two sides share.
///
/// Both look at it only while the stream is being polled: an [`Emit`] borrows an emitter that
/// lies in the body. So the lock is never waited for, and the flag needs no ordering: whatever
/// carries the stream, or a part of its body, from one thread to another orders their accesses.
struct Shared<T> {
    /// Whether there is a value in the slot, to tell without the lock.
    full: AtomicBool,
    slot: Mutex<Slot<T>>,
}

struct Slot<T> {
    value: Option<T>,
    /// Who polls the stream, and so the body.
    task: Option<Waker>,
    /// Who polls the emit that waits, if that is somebody else: a part of the body that has wakers
    /// of its own, and polls nothing that has not been woken.
    emitter: Option<Waker>,
}

impl<T> Shared<T> {
    fn new() -> Self {
        Self {
            full: AtomicBool::new(false),
            slot: Mutex::new(Slot {
                value: None,
                task: None,
                emitter: None,
            }),
        }
    }

    fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    fn set_task(&self, task: Waker) {
        let old = self.lock().task.replace(task);
        drop(old);
    }

    /// Fills the slot; the emit is to be polled when the stream is.
    fn put(&self, value: T, emitter: &Waker) {
        let mut slot = self.lock();
        slot.value = Some(value);
        slot.note(emitter);
        self.full.store(true, Relaxed);
    }

    /// The emit that waits is to be polled when the stream is.
    fn wait(&self, emitter: &Waker) {
        self.lock().note(emitter);
    }

    /// Empties the slot, and says whom to wake when the next value is asked for.
    fn take(&self) -> (Option<T>, Option<Waker>) {
        let mut slot = self.lock();
        self.full.store(false, Relaxed);
        (slot.value.take(), slot.emitter.take())
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slot<T> {
    fn note(&mut self, emitter: &Waker) {
        let polled_anyway = (self.task.as_ref()).is_some_and(|task| task.will_wake(emitter));
        self.emitter = (!polled_anyway).then(|| emitter.clone());
    }
}
