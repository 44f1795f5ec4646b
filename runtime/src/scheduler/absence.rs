//! Workers that no thread runs: worker 0 outside `block_on`, and all of them after the end.
//!
//! Nobody reads such a worker's mailbox. So whoever sends it something looks at `present` afterwards, and
//! the leaving thread looks at the mailbox after clearing `present`: one of the two handles the message
//! here. What ends elsewhere is freed at once, and does not wait for the next `block_on`.

#![expect(unsafe_code, reason = "a list that changes hands by a flag")]

use std::sync::atomic::{Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::driver::remote::Message;
use crate::scheduler::shared::{Peer, Shared};
use crate::scheduler::worker::Worker;
use crate::task::dump_request::gather;
use crate::task::list::OwnedList;

/// The tasks a worker is responsible for. They belong to the thread that runs the worker; while there is
/// none, to the holder of the lock.
#[derive(Debug, Default)]
pub(crate) struct OwnTasks {
    list: OwnedList,
    /// Held to change `Peer::present`, and by siblings that touch the list meanwhile.
    absence: Mutex<()>,
}

// SAFETY: the list is used by one thread at a time: by the worker's, which sets and clears `present` under
// the lock, and by others only under the lock after they have found `present` cleared.
unsafe impl Sync for OwnTasks {}

// SAFETY: the list is nothing but pointers to tasks, and taking one out runs no code of the task. Tasks
// whose futures are not `Send` end, and are taken out, on their own thread.
unsafe impl Send for OwnTasks {}

impl OwnTasks {
    /// The list, for the thread that runs the worker.
    #[inline]
    pub(crate) fn of_owner(&self) -> &OwnedList {
        &self.list
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.absence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are, for any thread while no thread runs the worker.
    pub(crate) fn count_in_absence(&self) -> usize {
        let _absence = self.lock();
        self.list.len()
    }
}

impl Worker {
    /// From now on the calling thread runs this worker.
    pub(crate) fn arrive(&self) {
        let _absence = self.peer().tasks.lock();
        self.peer().present.store(true, Ordering::SeqCst);
    }

    /// From now on no thread runs this worker. Handles what comes too late for it to read.
    pub(crate) fn depart(&self) {
        {
            let _absence = self.peer().tasks.lock();
            self.peer().present.store(false, Ordering::SeqCst);
        }
        self.driver().remote().thread.store(0, Ordering::Release);
        self.shared().settle_mail_if_absent(self.index());
    }
}

impl Shared {
    /// Called after a message was sent to a worker: handles it if no thread runs that worker.
    pub(crate) fn settle_mail_if_absent(&self, index: usize) {
        // Between the push and the look at `present`, or the other way round when leaving.
        fence(Ordering::SeqCst);
        let peer = &self.peers[index];
        if peer.present.load(Ordering::SeqCst) {
            return;
        }
        if self.settle_mail(index, peer) {
            self.wake_one(index + 1);
        }
    }

    /// Returns whether tasks came into the injector.
    #[cold]
    fn settle_mail(&self, index: usize, peer: &Peer) -> bool {
        let mut ended = Vec::new();
        let mut asked = Vec::new();
        let mut found = Vec::new();
        let mut injected = false;
        {
            let _absence = peer.tasks.lock();
            if peer.present.load(Ordering::SeqCst) {
                return false;
            }
            peer.remote.sort_mail(|message| match message {
                Message::Run(task) if !task.header().pinned && self.config.steals => {
                    self.injector.push(task);
                    injected = true;
                    None
                }
                Message::Unlink(task) => {
                    peer.tasks.list.unlink(task);
                    ended.push(task);
                    None
                }
                Message::Dump(collector) => {
                    asked.push(collector);
                    None
                }
                // A worker that is left has no timers, and mostly no operations.
                Message::DropTimer(_) => None,
                Message::Cancel(_) if peer.remote.in_flight() == 0 => None,
                other => Some(other),
            });
            if !asked.is_empty() {
                found = gather(&peer.tasks.list);
            }
        }
        for task in ended {
            task.drop_reference();
        }
        for collector in asked {
            collector.answer(index, found.clone());
        }
        injected
    }
}
