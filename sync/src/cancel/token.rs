//! `CancelToken`: a request to stop that whoever is asked heeds when it likes.

use crate::wait::{State, WaitQueue, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

/// A request to stop, for those who look or wait for it; clones are the same token. A token made by
/// [`child`](Self::child) is cancelled with its parent, but not the other way round (tokio-util:
/// `CancellationToken`; asyncio: an `Event` that everybody knows).
///
/// Nothing is unwound: to cancel what does not ask, use [`cancel_scope`](super::cancel_scope) or
/// `JoinHandle::cancel`. It works under any executor.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// let child = token.child();
/// let worker = heist_runtime::spawn(async move {
///     child.cancelled().await;
///     "put away"
/// });
/// token.cancel();
/// assert_eq!(worker.await.unwrap(), "put away");
/// # });
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Inner>);

struct Inner {
    queue: WaitQueue<(), Shared>,
}

/// What the lock of the queue guards.
struct Shared {
    cancelled: bool,
    children: Vec<Weak<Inner>>,
    /// How many children there may be before those that are gone are looked for.
    limit: usize,
}

impl CancelToken {
    /// A token without parent.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            queue: WaitQueue::new(Shared {
                cancelled: false,
                children: Vec::new(),
                limit: 8,
            }),
        }))
    }

    /// A token that is cancelled when this one is; at once if that has happened.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        let mut shared = self.0.queue.lock();
        if shared.cancelled {
            drop(shared);
            child.cancel();
            return child;
        }
        if shared.children.len() >= shared.limit {
            shared.children.retain(|child| child.strong_count() > 0);
            shared.limit = (shared.children.len() * 2).max(8);
        }
        shared.children.push(Arc::downgrade(&child.0));
        drop(shared);
        child
    }

    /// As [`child`](Self::child), with tokio-util's name.
    #[must_use]
    pub fn child_token(&self) -> Self {
        self.child()
    }

    /// Cancels this token and those below it, and wakes who waits. Returns whether it was the first time.
    pub fn cancel(&self) -> bool {
        let mut first = !self.is_cancelled();
        let mut tokens = vec![self.clone()];
        while let Some(token) = tokens.pop() {
            let mut shared = token.0.queue.lock();
            let was_cancelled = std::mem::replace(&mut shared.cancelled, true);
            if was_cancelled {
                first &= !Arc::ptr_eq(&token.0, &self.0);
                continue;
            }
            let children = std::mem::take(&mut shared.children);
            tokens.extend(children.iter().filter_map(Weak::upgrade).map(Self));
            shared.release_all();
            shared.wake_released();
        }
        first
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.queue.lock().cancelled
    }

    /// Waits until it is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + Sync + '_ {
        Wait {
            token: self,
            waiter: Waiter::new(&self.0.queue, ()),
            leaf: Leaf::here(),
        }
    }

    /// As [`cancelled`](Self::cancelled), with a future that keeps the token.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn cancelled_owned(self) -> impl Future<Output = ()> + Send + Sync {
        let leaf = Leaf::here();
        async move {
            let wait = Wait {
                token: &self,
                waiter: Waiter::new(&self.0.queue, ()),
                leaf,
            };
            wait.await;
        }
    }

    /// Runs `future`, but drops it when the token is cancelled first: `None` then. It is not unwound; its
    /// cleanup goes to the scope around.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut cancelled = pin!(self.cancelled());
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            cancelled.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// A guard that cancels the token when it is dropped.
    #[must_use = "dropping it cancels the token"]
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Cancels a token when it is dropped; see [`CancelToken::drop_guard`].
#[derive(Debug)]
pub struct DropGuard(Option<CancelToken>);

impl DropGuard {
    /// The token, which is not cancelled.
    #[must_use]
    pub fn disarm(mut self) -> CancelToken {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}

pin_project! {
    struct Wait<'a> {
        token: &'a CancelToken,
        #[pin]
        waiter: Waiter<'a, (), Shared>,
        leaf: Leaf,
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let queue = &this.token.0.queue;
        match this.waiter.state() {
            State::Idle => {
                ready!(this.leaf.start());
                let waker = cx.waker().clone();
                let mut shared = queue.lock();
                if shared.cancelled {
                    return Poll::Ready(());
                }
                shared.enqueue(this.waiter.as_ref(), waker);
                this.leaf.pending()
            }
            State::Waiting => match queue.refresh(&this.waiter, cx.waker()) {
                State::Waiting => this.leaf.pending(),
                _ => Poll::Ready(()),
            },
            _ => Poll::Ready(()),
        }
    }
}
