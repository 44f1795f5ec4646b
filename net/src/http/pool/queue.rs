//! The queue of a host: who waits for a connection or a slot, and whose turn it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use heist_runtime::scope::Leaf;
use heist_runtime::time::Instant;

use super::hosts::{NO_TOKEN, State};
use super::table::HostId;
use super::{Afterwards, Claim, Pool, Slot, lock};

/// What the pool and who waits share.
#[derive(Debug)]
pub(super) struct Waiter<T>(pub(super) Mutex<Turn<T>>);

/// Whether the turn has come.
#[derive(Debug)]
pub(super) enum Turn<T> {
    /// It has not come; whom to wake when it does.
    Waiting(Option<Waker>),
    /// It has come: a connection, or a slot to open one.
    Granted(Option<T>),
    /// It has been taken.
    Over,
}

/// A place in the queue of a host. A future of its turn.
#[derive(Debug)]
pub(in crate::http) struct Waiting<T> {
    pool: Arc<Pool<T>>,
    host: HostId,
    waiter: Arc<Waiter<T>>,
    leaf: Leaf,
    started: bool,
}

impl<T> State<T> {
    /// A place at the end of the queue of a host.
    pub(super) fn queue_up(&mut self, pool: &Arc<Pool<T>>, id: HostId) -> Waiting<T> {
        let waiter = Arc::new(Waiter(Mutex::new(Turn::Waiting(None))));
        if let Some(host) = self.hosts.get_mut(id) {
            host.waiters.push_back(waiter.clone());
        }
        Waiting {
            pool: pool.clone(),
            host: id,
            waiter,
            leaf: Leaf::here(),
            started: false,
        }
    }
}

impl<T> Future for Waiting<T> {
    type Output = Claim<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Claim<T>> {
        if !self.started {
            ready!(self.leaf.start());
            self.started = true;
        }
        let mut turn = lock(&self.waiter.0);
        if let Turn::Waiting(waker) = &mut *turn {
            match waker {
                Some(known) => known.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return self.leaf.pending();
        }
        let Turn::Granted(grant) = std::mem::replace(&mut *turn, Turn::Over) else {
            panic!("a place in the connection queue was polled after its turn");
        };
        let slot = Slot {
            pool: self.pool.clone(),
            host: Some(self.host),
        };
        Poll::Ready(match grant {
            Some(connection) => Claim::Reuse(connection, slot),
            None => Claim::Open(slot),
        })
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.pool.state);
        // Grants are made under the pool's lock, so the answer cannot change while it is held.
        match std::mem::replace(&mut *lock(&self.waiter.0), Turn::Over) {
            Turn::Over => {}
            Turn::Waiting(_) => {
                if let Some(entry) = state.hosts.get_mut(self.host) {
                    entry
                        .waiters
                        .retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
                }
            }
            Turn::Granted(Some(connection)) => {
                // Without a token nobody can call for it; the next to use it looks.
                let now = Instant::now();
                state.check_in(
                    &self.pool,
                    self.host,
                    NO_TOKEN,
                    connection,
                    now,
                    &mut afterwards,
                );
            }
            Turn::Granted(None) => state.release(self.host, &mut afterwards),
        }
        drop(state);
        afterwards.run();
    }
}
