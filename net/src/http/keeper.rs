//! Looks after idle connections: closes those that the server has closed, and those that expire.
//!
//! An idle connection holds no buffer, but its receive stays armed in the kernel, with a [`Watch`] for a waker. As
//! soon as the server says anything, or closes, the watch rings the pool's [`Bell`], and a task of the
//! client's looks. (That is free: the receive is armed anyway. A poll of its own would cost two more
//! entries of the ring for each exchange.) What came is not always from the server, as the runtime moves receives from
//! one ring to another; so the task polls again, and closes only what is not quiet.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use heist_runtime::time::{Instant, Timer};

use super::link::Link;
use super::pool::{Chore, HostId, Pool};

/// How the idle connections of a pool call for its keeper.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// Hosts, and the tokens of their connections.
    from: Vec<(HostId, u64)>,
    keeper: Option<Waker>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection wants to be looked at.
    pub(super) fn ring(&self, host: HostId, token: u64) {
        let mut calls = self.lock();
        calls.from.push((host, token));
        let keeper = calls.keeper.take();
        drop(calls);
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    /// Wakes the keeper, to see that there is less to do.
    pub(super) fn call(&self) {
        let keeper = self.lock().keeper.take();
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    /// The next call. Without one, `keeper` is woken by the next.
    pub(super) fn next(&self, keeper: &Waker) -> Option<(HostId, u64)> {
        let mut calls = self.lock();
        let next = calls.from.pop();
        if next.is_none() {
            calls.keeper = Some(keeper.clone());
        }
        next
    }
}

/// Tells when something happens to one idle connection.
#[derive(Debug)]
pub(super) struct Watch {
    bell: Arc<Bell>,
    host: HostId,
    token: u64,
    /// It happened before the connection was in the pool, where the keeper could have found it.
    fired: AtomicBool,
}

impl Watch {
    pub(super) fn new(bell: Arc<Bell>, host: HostId, token: u64) -> Arc<Self> {
        Arc::new(Self {
            bell,
            host,
            token,
            fired: AtomicBool::new(false),
        })
    }

    /// Before a connection is watched: what was does not count.
    pub(super) fn reset(&self) {
        self.fired.store(false, SeqCst);
    }

    /// Whether anything has happened since.
    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(SeqCst)
    }

    /// After a connection has gone to the pool: calls again if that was in vain before.
    pub(super) fn repeat(&self) {
        if self.fired.load(SeqCst) {
            self.bell.ring(self.host, self.token);
        }
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.fired.store(true, SeqCst);
        self.bell.ring(self.host, self.token);
    }
}

/// The promise to look after idle connections.
pub(super) struct Keeper(pub(super) Weak<Pool<Box<Link>>>);

/// Keeps the promise; ends when there are no idle connections, or when the client is gone.
pub(super) async fn keep(mut keeper: Keeper) {
    let mut expiry: Option<Timer> = None;
    poll_fn(|cx| {
        while let Some(pool) = keeper.0.upgrade() {
            match pool.next_chore(cx.waker()) {
                Chore::Look(mut taken) => {
                    if taken.connection().watch(Instant::now()) {
                        taken.put_back();
                    } else {
                        taken.close();
                    }
                }
                Chore::Rest(until) => {
                    drop(pool);
                    if is_pending(&mut expiry, until.map(Timer::new), cx) {
                        return Poll::Pending;
                    }
                }
                Chore::End => {
                    // The promise has ended with that answer; the next one is another keeper's.
                    keeper.0 = Weak::new();
                }
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// Whether the time to rest is not over.
fn is_pending(slot: &mut Option<Timer>, timer: Option<Timer>, cx: &mut Context<'_>) -> bool {
    *slot = timer;
    match slot {
        Some(timer) => Pin::new(timer).poll(cx).is_pending(),
        None => true,
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The runtime of this task shuts down, but the client may live on under another.
        if let Some(pool) = self.0.upgrade() {
            pool.stop_keeping();
        }
    }
}
