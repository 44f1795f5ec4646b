//! Where ready tasks wait, and in which order a worker takes them.
//!
//! | place | who puts | who takes |
//! |---|---|---|
//! | LIFO slot | the worker: spawns, wakes by a task | the worker next; a watcher when the worker is stuck |
//! | queue (FIFO) | the worker: displaced from the slot, woken by completions, joins, itself | the worker; siblings steal |
//! | due queue (FIFO) | the worker: woken by timers | the worker, in turn with the queue; siblings steal |
//! | pinned queue | the worker: tasks bound to it | the worker |
//! | injector | any thread | workers, every so many polls and when idle |
//! | mailbox | any thread | the worker, every so many polls and when idle |

use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use crossbeam_deque::{Steal, Stealer};

use crate::driver::remote::Message;
use crate::metrics::{add, bump};
use crate::scheduler::shared::Peer;
use crate::scheduler::worker::{Lane, Worker};
use crate::task::TaskRef;
use crate::task::dump_request::gather;
use crate::task::raw::Header;

/// Tasks that may run from the LIFO slot one after another before the queue gets a turn.
const LIFO_STREAK: u32 = 16;
/// Most tasks taken from the injector at a time.
const INJECTOR_BATCH: usize = 64;

/// One task that runs next, because what it needs is in the cache.
#[derive(Debug, Default)]
pub(crate) struct LifoSlot(AtomicPtr<Header>);

impl LifoSlot {
    fn put(&self, task: TaskRef) -> Option<TaskRef> {
        // AcqRel: a stealer sees the task as its spawner left it.
        let before = self.0.swap(task.as_ptr().as_ptr(), Ordering::AcqRel);
        NonNull::new(before).map(TaskRef::from_header)
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<TaskRef> {
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        NonNull::new(self.0.swap(std::ptr::null_mut(), Ordering::AcqRel)).map(TaskRef::from_header)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }
}

impl Peer {
    /// Whether the worker is in a task right now.
    pub(crate) fn is_in_task(&self) -> bool {
        !self.tick.load(Ordering::Relaxed).is_multiple_of(2)
    }
}

impl Worker {
    /// Queues a task that was just scheduled, on this worker or, if it is bound to another, there.
    pub(crate) fn schedule(&self, task: TaskRef) {
        if task.header().pinned {
            self.schedule_pinned(task);
        } else {
            match self.lane() {
                Lane::Next => self.push_next(task),
                Lane::Back => self.queue().push(task),
                Lane::Due => self.due().push(task),
            }
        }
    }

    #[cold]
    fn schedule_pinned(&self, task: TaskRef) {
        if task.owner() as usize == self.index() {
            self.pinned().borrow_mut().push_back(task);
        } else {
            self.peers()[task.owner() as usize]
                .remote
                .send(Message::Run(task));
        }
    }

    /// Puts a task where it runs next.
    #[inline]
    pub(crate) fn push_next(&self, task: TaskRef) {
        if let Some(displaced) = self.peer().lifo.put(task) {
            self.queue().push(displaced);
        }
    }

    /// Puts a task behind the others.
    #[inline]
    pub(crate) fn push_back(&self, task: TaskRef) {
        if task.header().pinned {
            self.schedule_pinned(task);
        } else {
            self.queue().push(task);
        }
    }

    /// The next task of this worker's own.
    #[inline]
    pub(crate) fn next_task(&self) -> Option<TaskRef> {
        let streak = self.lifo_streak();
        if streak.get() < LIFO_STREAK
            && let Some(task) = self.peer().lifo.take()
        {
            streak.set(streak.get() + 1);
            return Some(task);
        }
        streak.set(0);
        if !self.pinned().borrow().is_empty() && self.takes_pinned_now() {
            return self.pinned().borrow_mut().pop_front();
        }
        // A timer's task does not wait behind a hundred thousand that have just been spawned, nor do
        // timers without end keep those from running.
        if !self.due().is_empty() && self.takes_due_now() {
            return self.due().pop().or_else(|| self.queue().pop());
        }
        self.queue().pop().or_else(|| self.last_resort())
    }

    #[cold]
    fn last_resort(&self) -> Option<TaskRef> {
        self.due()
            .pop()
            .or_else(|| self.pinned().borrow_mut().pop_front())
            .or_else(|| self.peer().lifo.take())
    }

    /// Whether this worker has a task to run.
    pub(crate) fn has_task(&self) -> bool {
        !self.queue().is_empty()
            || !self.due().is_empty()
            || !self.peer().lifo.is_empty()
            || !self.pinned().borrow().is_empty()
    }

    /// Takes this worker's share of the injector, up to a batch: also while it has tasks of its own, or those from
    /// outside would wait for a turn of the injector each. Returns whether there was any.
    pub(crate) fn take_injected(&self) -> bool {
        let injector = &self.shared().injector;
        if injector.is_empty() {
            return false;
        }
        let share = (injector.len() / self.peers().len() + 1).min(INJECTOR_BATCH);
        let before = self.queue().len();
        loop {
            match injector.steal_batch_with_limit(self.queue(), share) {
                Steal::Success(()) => {
                    // A sibling may have stolen some of them already.
                    let taken = self.queue().len().saturating_sub(before).max(1);
                    add(&self.counters().injected, taken as u64);
                    return true;
                }
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => return false,
            }
        }
    }

    /// Takes half of what a sibling has queued. Returns whether there was anything.
    pub(crate) fn steal_from(&self, stealer: &Stealer<TaskRef>) -> bool {
        if stealer.is_empty() {
            return false;
        }
        let before = self.queue().len();
        loop {
            match stealer.steal_batch_and_pop(self.queue()) {
                Steal::Success(task) => {
                    self.queue().push(task);
                    let stolen = self.queue().len().saturating_sub(before);
                    bump(&self.counters().steals);
                    add(&self.counters().stolen_tasks, stolen as u64);
                    return true;
                }
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => return false,
            }
        }
    }

    /// Looks at all siblings' queues, starting at a random one.
    pub(crate) fn steal(&self) -> bool {
        if self.peers().len() == 1 || !self.shared().config.steals {
            return false;
        }
        if !self.shared().idle.begin_search() {
            return false;
        }
        bump(&self.counters().steal_attempts);
        let count = self.peers().len();
        let start = self.random() as usize % count;
        let found = (0..count)
            .map(|offset| (start + offset) % count)
            .filter(|&index| index != self.index())
            .any(|index| {
                let peer = &self.peers()[index];
                let taken = peer.is_worth_stealing_from()
                    && (self.steal_from(&peer.due) || self.steal_from(&peer.stealer));
                if taken {
                    peer.has_lasting_backlog.store(false, Ordering::Relaxed);
                }
                taken
            })
            || self.take_injected();
        if self.shared().idle.end_search() && found && self.work_is_visible() {
            // The last searcher got some; what is left is worth another look by somebody.
            self.shared().wake_one(self.index());
        }
        found
    }

    /// Whether any queue that others may take from has something worth taking.
    pub(crate) fn work_is_visible(&self) -> bool {
        !self.shared().injector.is_empty()
            || (self.shared().config.steals
                && self.peers().iter().any(Peer::is_worth_stealing_from))
    }

    /// Handles what others have sent. Returns whether there was any message.
    pub(crate) fn read_mail(&self) -> bool {
        let remote = self.driver().remote();
        if !remote.has_mail() {
            return false;
        }
        while let Some(message) = remote.receive() {
            match message {
                Message::Cancel(token) => self.driver().submit_cancel(token),
                Message::Run(task) if task.header().pinned => {
                    self.pinned().borrow_mut().push_back(task);
                }
                Message::Run(task) => self.queue().push(task),
                Message::Unlink(task) => {
                    self.list().unlink(task);
                    task.drop_reference();
                }
                Message::DropTimer(key) => self.timers().remove(key),
                Message::Dump(collector) => collector.answer(self.index(), gather(self.list())),
            }
        }
        true
    }
}
