//! What the keeper of a pool does: looks at idle connections that called, and closes those that expire.

use std::sync::Arc;
use std::task::Waker;

use heist_runtime::time::Instant;

use super::hosts::Idle;
use super::{Afterwards, Pool, Slot, lock};

/// What the keeper of a pool does next.
#[derive(Debug)]
pub(in crate::http) enum Chore<T> {
    /// Something happened to this idle connection.
    Look(Taken<T>),
    /// Nothing, until then, or until the bell rings.
    Rest(Option<Instant>),
    /// Nothing at all: the promise has ended.
    End,
}

/// An idle connection that is looked at. Nobody gets it meanwhile, and it keeps its slot.
#[derive(Debug)]
pub(in crate::http) struct Taken<T> {
    /// `None` once it is decided.
    idle: Option<Idle<T>>,
    slot: Slot<T>,
}

impl<T> Pool<T> {
    /// What the keeper does next; `waker` is woken when there is something else to do.
    pub(in crate::http) fn next_chore(self: &Arc<Self>, waker: &Waker) -> Chore<T> {
        // The bell comes first: what rings from now on wakes the keeper.
        while let Some((host, token)) = self.bell.next(waker) {
            if let Some(idle) = lock(&self.state).take_idle(host, token) {
                let slot = Slot {
                    pool: self.clone(),
                    host: Some(host),
                };
                return Chore::Look(Taken {
                    idle: Some(idle),
                    slot,
                });
            }
        }
        self.evict()
    }

    /// Closes what has been idle for too long.
    pub(super) fn evict(&self) -> Chore<T> {
        let now = Instant::now();
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        let next = loop {
            let Some(oldest) = state.oldest() else {
                state.keeping = false;
                break Chore::End;
            };
            match oldest.until {
                Some(until) if until <= now => {
                    self.closed.expired.add(1);
                    afterwards.close.extend(state.close_oldest());
                }
                until => break Chore::Rest(until),
            }
        };
        drop(state);
        afterwards.run();
        next
    }

    /// Closes the idle connection that is oldest, to make room for another host's. Yields whether there was one.
    pub(in crate::http) fn make_room(&self) -> bool {
        let closed = lock(&self.state).close_oldest();
        if closed.is_some() {
            self.closed.for_limit.add(1);
        }
        closed.is_some()
    }

    /// Takes back the promise to do the chores.
    pub(in crate::http) fn stop_keeping(&self) {
        lock(&self.state).keeping = false;
    }
}

impl<T> Taken<T> {
    /// The connection, to be looked at.
    pub(in crate::http) fn connection(&mut self) -> &mut T {
        let idle = self.idle.as_mut();
        &mut idle.expect("it is there until it is decided").connection
    }

    /// It is idle as before.
    pub(in crate::http) fn put_back(mut self) {
        let (Some(idle), Some(host)) = (self.idle.take(), self.slot.host.take()) else {
            return;
        };
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.slot.pool.state);
        let orphan = state.put_back(host, idle, &mut afterwards.wake);
        afterwards.close.extend(orphan);
        drop(state);
        afterwards.run();
    }

    /// The server has closed it, or spoken out of turn.
    pub(in crate::http) fn close(self) {
        self.slot.pool.closed.by_server.add(1);
    }
}
