//! `using_stream`: a stream for the time of a block.
//!
//! The block and the stream run side by side, each in a scope of its own:
//!
//! ```text
//! using_stream ┬ the block ── OpenStream::poll_next ─── asks ──▶ ┐
//!              │        ▲───────────────────────── answers ───── Slot
//!              └ the stream (shielded) ── Pump ── polls it when asked
//! ```
//!
//! So the stream is polled right below `using_stream`, wherever in the block its values are waited for: a
//! timeout around one of these waits does not unwind a generator that has scopes of its own. The shield
//! keeps a cancellation from outside away from the stream until the block has unwound, which may read on in
//! its cleanup; then the stream is cancelled in any case.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use heist_runtime::scope::{Exit, Leaf, Reason, Scope, catch, current_deadline, watch};
use pin_project_lite::pin_project;

use crate::branches::list::Payload;

/// Runs `body` with a stream, and closes the stream afterwards: when the body has returned, panicked or was
/// cancelled, what is left of the stream is cancelled too, and unwinds with all its cleanup before
/// `using_stream` returns (asyncio: `contextlib.aclosing`).
///
/// A generator that is merely dropped half-read runs its destructors only, and leaves cleanup that awaits to
/// the scope around. So this is the way to read one that has something to put away, and may not be read to
/// its end:
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::finally;
/// use heist_sync::stream::{StreamExt, generate, using_stream};
/// use std::cell::Cell;
///
/// let open = Cell::new(false);
/// let rows = generate(async |y| {
///     open.set(true);
///     finally(
///         async {
///             for row in 0.. {
///                 y.emit(row).await;
///             }
///         },
///         async |_| {
///             heist_runtime::yield_now().await; // say goodbye
///             open.set(false);
///         },
///     )
///     .await;
/// });
/// let found = using_stream(rows, async |rows| {
///     while let Some(row) = rows.next().await {
///         if row > 2 {
///             return Some(row);
///         }
///     }
///     None
/// })
/// .await;
/// assert_eq!((found, open.get()), (Some(3), false));
/// # });
/// ```
///
/// The stream does not have to be pinned, and is not polled but for values that were asked for, of which at
/// most one is read ahead. A wait for the next value may have a scope of its own, such as a
/// [`timeout`](crate::time::timeout()): the stream goes on meanwhile, and the value is there for the next wait.
///
/// When the task is cancelled, the body unwinds first, and may still read in its cleanup; then the stream
/// does. A stream that only waits is dropped as it is, and takes nothing along: a channel that was lent to
/// it keeps its items.
///
/// # Panics
///
/// With the panic of the body, or of the stream, which the body gets where it waits for the next value. A
/// panic while the stream is closed replaces what the body returned.
///
/// # Cancel safety
///
/// Dropping it drops both, and leaves their cleanup to the scope around, but for what borrows
/// ([`finally`](crate::finally())).
#[track_caller]
pub fn using_stream<S, T, B>(stream: S, body: B) -> impl Future<Output = T>
where
    S: Stream,
    B: AsyncFnOnce(&mut OpenStream<'_, S::Item>) -> T,
{
    let leaf = Leaf::here();
    async move {
        let shared = Shared::new();
        let scope = Scope::shielded("stream");
        // The shield hides those around, which end the block, and so the stream.
        if let Some(deadline) = current_deadline() {
            scope.set_deadline(Some(deadline));
        }
        let pump = Pump {
            stream,
            shared: &shared,
        };
        let mut source = Source {
            pump: pin!(catch(&scope, pump)),
            ended: false,
        };
        let mut open = OpenStream {
            shared: &shared,
            leaf,
        };
        let exit = {
            let mut body = pin!(catch(&Scope::named("using_stream"), body(&mut open)));
            poll_fn(|cx| poll_both(body.as_mut(), &mut source, &shared, cx)).await
        };
        if shared.lock().begun && !source.ended {
            shared.lock().closing = true;
            scope.cancel(match exit {
                Exit::Cancelled(reason) => reason,
                _ => Reason::Explicit,
            });
            poll_fn(|cx| source.poll(&shared, cx)).await;
        }
        let panicked = shared.lock().panicked.take();
        match (exit, panicked) {
            // The first panic counts.
            (Exit::Value(_) | Exit::Cancelled(_), Some(payload)) => resume_unwind(payload),
            (exit, _) => exit.propagate().await,
        }
    }
}

/// Polls the block, and the stream whenever the block has asked for a value.
fn poll_both<F: Future, P: Future<Output = Exit<()>>, T>(
    mut body: Pin<&mut F>,
    source: &mut Source<'_, P>,
    shared: &Shared<T>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    loop {
        if let Poll::Ready(exit) = body.as_mut().poll(cx) {
            return Poll::Ready(exit);
        }
        if source.ended || !shared.lock().wanted {
            return Poll::Pending;
        }
        let _ = source.poll(shared, cx);
        let Some(asker) = shared.take_asker() else {
            return Poll::Pending;
        };
        // Parts of the block that have wakers of their own poll nothing that was not woken.
        if !asker.will_wake(cx.waker()) {
            asker.wake();
        }
    }
}

/// The stream as `using_stream` sees it.
struct Source<'a, P> {
    pump: Pin<&'a mut P>,
    ended: bool,
}

impl<P: Future<Output = Exit<()>>> Source<'_, P> {
    fn poll<T>(&mut self, shared: &Shared<T>, cx: &mut Context<'_>) -> Poll<()> {
        let exit = ready!(self.pump.as_mut().poll(cx));
        self.ended = true;
        let mut slot = shared.lock();
        slot.ended = true;
        slot.wanted = false;
        if let Exit::Panicked(payload) = exit {
            slot.panicked = Some(payload);
        }
        Poll::Ready(())
    }
}

/// A stream that [`using_stream`] closes.
pub struct OpenStream<'a, T> {
    shared: &'a Shared<T>,
    leaf: Leaf,
}

impl<T> Stream for OpenStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // At every poll: a value that is not taken stays in the slot.
        ready!(self.leaf.start());
        let mut slot = self.shared.lock();
        if let Some(value) = slot.value.take() {
            return Poll::Ready(Some(value));
        }
        if let Some(payload) = slot.panicked.take() {
            drop(slot);
            resume_unwind(payload);
        }
        if slot.ended {
            return Poll::Ready(None);
        }
        slot.wanted = true;
        let known = (slot.asker.as_ref()).is_some_and(|asker| asker.will_wake(cx.waker()));
        let old = if known {
            None
        } else {
            slot.asker.replace(cx.waker().clone())
        };
        // Foreign code, which stays outside the lock.
        drop(slot);
        drop(old);
        self.leaf.pending()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let slot = self.shared.lock();
        let there = usize::from(slot.value.is_some());
        (there, slot.ended.then_some(there))
    }
}

impl<T> fmt::Debug for OpenStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream")
            .field("ended", &self.shared.lock().ended)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Polls the stream when a value was asked for, and when it is being closed.
    struct Pump<'a, S: Stream> {
        #[pin]
        stream: S,
        shared: &'a Shared<S::Item>,
    }
}

impl<S: Stream> Future for Pump<'_, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let closing = {
            let slot = this.shared.lock();
            if !slot.wanted && !slot.closing {
                return Poll::Pending;
            }
            slot.closing
        };
        // What has begun nothing that has to unwind is dropped and not polled again, which could make it
        // take what it waits for.
        let (polled, begun) = watch(|| this.stream.poll_next(cx));
        let mut slot = this.shared.lock();
        slot.begun |= begun;
        match ready!(polled) {
            None => Poll::Ready(()),
            Some(value) if closing => {
                drop(slot);
                drop(value);
                // Other parts of it may have to unwind yet.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(value) => {
                slot.value = Some(value);
                slot.wanted = false;
                Poll::Pending
            }
        }
    }
}

/// Where the block and the stream meet. They run in one task, one after the other, so its lock is never
/// waited for; it makes the future `Send`.
struct Shared<T> {
    slot: Mutex<Slot<T>>,
}

struct Slot<T> {
    /// Whether a value was asked for that is not there yet.
    wanted: bool,
    /// Whom to wake when it is.
    asker: Option<Waker>,
    value: Option<T>,
    /// Whether the stream has begun something that has to unwind.
    begun: bool,
    /// Whether the block is over.
    closing: bool,
    ended: bool,
    /// The panic of the stream, which nobody has got.
    panicked: Option<Payload>,
}

impl<T> Shared<T> {
    fn new() -> Self {
        Self {
            slot: Mutex::new(Slot {
                wanted: false,
                asker: None,
                value: None,
                begun: false,
                closing: false,
                ended: false,
                panicked: None,
            }),
        }
    }

    /// Whom to wake, if what was asked for is there.
    fn take_asker(&self) -> Option<Waker> {
        let mut slot = self.lock();
        if slot.wanted { None } else { slot.asker.take() }
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
