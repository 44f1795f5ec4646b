//! A worker: one thread, one ring, one queue, and the loop that runs them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_deque::Worker as Queue;

use crate::context;
use crate::driver::local::Driver;
use crate::driver::remote::Message;
use crate::metrics::{Counters, add, bump};
use crate::scheduler::backlog::Backlog;
use crate::scheduler::shared::{Peer, Shared};
use crate::scheduler::shutdown::Phase;
use crate::task::TaskRef;
use crate::task::list::OwnedList;
use crate::task::raw::{NO_OWNER, Outcome};
use crate::task::state::Wake;
use crate::time::{self, Timers};

/// Every so many polls a worker looks at its mailbox, the injector, its timers and its ring, whatever
/// its queue says. Skipping it under load starves connections.
pub(crate) const HOUSEKEEPING_INTERVAL: u32 = 32;
/// A submission, or a completion the kernel holds back, waits no longer than this for the next enter
/// (looked at between polls).
const IO_DELAY: Duration = Duration::from_micros(50);

/// What `block_on` runs on worker 0, beside the tasks.
pub(crate) trait Root {
    /// Polls the future if it was woken. Returns whether it is done.
    fn poll_if_woken(&self) -> bool;
    /// Whether it was woken.
    fn is_woken(&self) -> bool;
}

/// The root of a worker that has none.
#[derive(Debug)]
pub(crate) struct NoRoot;

impl Root for NoRoot {
    fn poll_if_woken(&self) -> bool {
        false
    }

    fn is_woken(&self) -> bool {
        false
    }
}

/// Where a woken task goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The LIFO slot: it runs next.
    Next,
    /// Behind the tasks that wait already.
    Back,
    /// Before them: its timer was to fire some time ago, and they may be many.
    Due,
}

/// One worker, used on the thread that runs it.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    index: usize,
    driver: Driver,
    queue: Queue<TaskRef>,
    due: Queue<TaskRef>,
    pinned: RefCell<VecDeque<TaskRef>>,
    /// Tasks bound to this worker that have not ended.
    pinned_tasks: Cell<usize>,
    timers: Timers,
    tick: Cell<u32>,
    lifo_streak: Cell<u32>,
    pinned_turn: Cell<bool>,
    due_turn: Cell<bool>,
    lane: Cell<Lane>,
    migrate_to: Cell<Option<usize>>,
    random: Cell<u64>,
    /// The task being polled.
    current: Cell<Option<TaskRef>>,
    polls_since_housekeeping: Cell<u32>,
    last_io: Cell<Instant>,
    backlog: Backlog,
    pub(super) watch: super::rescue::Watch,
    pub(super) progress: super::shutdown::Progress,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        driver: Driver,
        (queue, due): (Queue<TaskRef>, Queue<TaskRef>),
    ) -> Self {
        let peers = shared.peers.len();
        let now = Instant::now();
        let timers = Timers::new(shared.config.timer_slack);
        Self {
            shared,
            index,
            driver,
            queue,
            due,
            pinned: RefCell::new(VecDeque::new()),
            pinned_tasks: Cell::new(0),
            timers,
            tick: Cell::new(0),
            lifo_streak: Cell::new(0),
            pinned_turn: Cell::new(false),
            due_turn: Cell::new(false),
            lane: Cell::new(Lane::Next),
            migrate_to: Cell::new(None),
            random: Cell::new(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index as u64 + 1)),
            current: Cell::new(None),
            polls_since_housekeeping: Cell::new(0),
            last_io: Cell::new(now),
            backlog: Backlog::new(now),
            watch: super::rescue::Watch::new(peers),
            progress: super::shutdown::Progress::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[inline(always)]
    pub(crate) fn peers(&self) -> &[Peer] {
        &self.shared.peers
    }

    #[inline(always)]
    pub(crate) fn peer(&self) -> &Peer {
        &self.shared.peers[self.index]
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    #[inline(always)]
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    #[inline(always)]
    pub(crate) fn queue(&self) -> &Queue<TaskRef> {
        &self.queue
    }

    #[inline(always)]
    pub(crate) fn due(&self) -> &Queue<TaskRef> {
        &self.due
    }

    pub(crate) fn pinned(&self) -> &RefCell<VecDeque<TaskRef>> {
        &self.pinned
    }

    pub(crate) fn has_pinned_tasks(&self) -> bool {
        self.pinned_tasks.get() > 0
    }

    pub(crate) fn list(&self) -> &OwnedList {
        self.peer().tasks.of_owner()
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.driver.remote().counters
    }

    pub(crate) fn lifo_streak(&self) -> &Cell<u32> {
        &self.lifo_streak
    }

    pub(crate) fn current(&self) -> Option<TaskRef> {
        self.current.get()
    }

    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    #[inline(always)]
    pub(super) fn tick(&self) -> u32 {
        self.tick.get()
    }

    /// When it last did I/O. What comes right after that goes by it: reads of the clock add up to some percent of a loop that
    /// runs one task. A timer that is looked at with a time just past is not early.
    pub(crate) fn last_io(&self) -> Instant {
        self.last_io.get()
    }

    /// Whether the pinned queue has its turn: every other time it is asked, so that neither starves the
    /// other.
    pub(crate) fn takes_pinned_now(&self) -> bool {
        let turn = !self.pinned_turn.get();
        self.pinned_turn.set(turn);
        turn
    }

    /// Whether the tasks that timers have woken have their turn, likewise.
    pub(crate) fn takes_due_now(&self) -> bool {
        let turn = !self.due_turn.get();
        self.due_turn.set(turn);
        turn
    }

    pub(crate) fn lane(&self) -> Lane {
        self.lane.get()
    }

    /// Runs `f` with its wake-ups going into `lane`.
    pub(crate) fn waking_into<R>(&self, lane: Lane, f: impl FnOnce() -> R) -> R {
        let before = self.lane.replace(lane);
        let result = f();
        self.lane.set(before);
        result
    }

    /// Runs `f` with its wake-ups going behind the tasks that wait already.
    pub(crate) fn waking_to_back<R>(&self, f: impl FnOnce() -> R) -> R {
        self.waking_into(Lane::Back, f)
    }

    /// Sends the current task to another worker when its poll ends woken.
    pub(crate) fn migrate_current(&self, to: usize) {
        self.migrate_to.set(Some(to));
    }

    /// A number to start searches from (xorshift; quality does not matter).
    pub(crate) fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }

    /// Queues a new task of this runtime.
    #[inline]
    pub(crate) fn spawn(&self, task: TaskRef) {
        self.push_next(task);
    }

    /// Queues a new task bound to this worker.
    pub(crate) fn spawn_pinned(&self, task: TaskRef) {
        self.list().link(task);
        self.pinned_tasks.set(self.pinned_tasks.get() + 1);
        self.pinned.borrow_mut().push_back(task);
    }

    /// Takes responsibility for a task whose first poll was pending.
    #[inline]
    pub(crate) fn link(&self, task: TaskRef) {
        if task.owner() == NO_OWNER {
            task.header()
                .owner
                .store(self.index as u32, Ordering::Relaxed);
            self.list().link(task);
        }
    }

    /// Runs tasks until the root is done, or for a worker without one until the runtime has ended.
    pub(crate) fn run(&self, root: &dyn Root) {
        let mut woken_at = None;
        loop {
            let mut just_now = woken_at.take();
            if root.is_woken() {
                self.call_watcher();
                self.begin_poll();
                let done = root.poll_if_woken();
                self.end_poll();
                if done {
                    return;
                }
                self.between_polls();
                just_now = None;
            }
            if let Some(task) = self.next_task() {
                self.call_watcher();
                self.run_task(task);
                self.between_polls();
                continue;
            }
            if self.shared.phase() != Phase::Running && self.continue_shutdown() {
                return;
            }
            if self.find_work(just_now) {
                continue;
            }
            woken_at = self.park(root);
        }
    }

    /// Runs one task taken from a queue.
    #[inline]
    pub(crate) fn run_task(&self, task: TaskRef) {
        self.begin_poll();
        bump(&self.counters().polls);
        if self.shared.phase() != Phase::Running {
            self.set_quiet(false);
            let _running: Wake = self.end_task(task);
        }
        self.current.set(Some(task));
        let outcome = task.run();
        self.current.set(None);
        self.end_poll();
        match outcome {
            Outcome::Idle => {
                self.migrate_to.set(None);
            }
            Outcome::Reschedule => self.reschedule(task),
            Outcome::Complete => self.retire(task),
            Outcome::Gone => self.migrate_to.set(None),
        }
    }

    #[inline]
    fn begin_poll(&self) {
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        let published = tick.wrapping_mul(2).wrapping_sub(1);
        self.peer().tick.store(published, Ordering::Relaxed);
    }

    #[inline]
    fn end_poll(&self) {
        let published = self.tick.get().wrapping_mul(2);
        self.peer().tick.store(published, Ordering::Relaxed);
    }

    #[inline]
    fn reschedule(&self, task: TaskRef) {
        match self.migrate_to.take() {
            Some(to) if to != self.index && !task.header().pinned => {
                bump(&self.counters().migrations);
                crate::trace::task_migrates(task.header(), self.index, to);
                self.send_task(to, task);
            }
            _ => self.push_back(task),
        }
    }

    /// Sends a task to another worker, or to any if that one's thread is leaving.
    fn send_task(&self, to: usize, task: TaskRef) {
        self.peers()[to].remote.send(Message::Run(task));
        self.shared.settle_mail_if_absent(to);
    }

    /// Drops the runtime's reference of a complete task, and its place in its owner's list.
    #[inline]
    fn retire(&self, task: TaskRef) {
        self.migrate_to.set(None);
        if task.header().pinned {
            self.pinned_tasks.set(self.pinned_tasks.get() - 1);
        }
        match task.owner() {
            NO_OWNER => task.drop_reference(),
            owner if owner as usize == self.index => {
                self.list().unlink(task);
                task.drop_reference();
            }
            owner => {
                let owner = owner as usize;
                self.peers()[owner].remote.send(Message::Unlink(task));
                self.shared.settle_mail_if_absent(owner);
            }
        }
    }

    /// What a worker looks at after every poll, cheapest first.
    #[inline]
    fn between_polls(&self) {
        let polls = self.polls_since_housekeeping.get() + 1;
        self.polls_since_housekeeping.set(polls);
        if polls >= HOUSEKEEPING_INTERVAL {
            self.housekeeping();
        } else if self.driver.wants_enter() && self.last_io.get().elapsed() >= IO_DELAY {
            self.do_io();
        }
        if self.shared.idle.count() > 0 {
            self.weigh_backlog();
        }
    }

    /// Looks at everything that does not wait in the queue.
    #[cold]
    fn housekeeping(&self) {
        self.polls_since_housekeeping.set(0);
        self.do_io();
        self.driver.end_buffer_period(self.last_io.get());
        self.fire_timers();
        self.read_mail();
        if !self.shared.injector.is_empty() {
            self.take_injected();
        }
    }

    fn fire_timers(&self) {
        let now = time::Instant::just_read(self.last_io());
        let fired = self.waking_into(Lane::Due, || self.timers.fire(now));
        if fired > 0 {
            add(&self.counters().timers_fired, fired as u64);
        }
    }

    /// Submits and reaps without waiting. Returns whether any completion came.
    pub(crate) fn do_io(&self) -> bool {
        self.do_io_at(Instant::now())
    }

    fn do_io_at(&self, now: Instant) -> bool {
        self.last_io.set(now);
        self.driver.remote().clear_stuck();
        if self.driver.wants_enter() {
            if self.driver.ring().has_overflow() {
                bump(&self.counters().overflows);
                crate::trace::completions_overflowed(self.index);
            }
            self.driver.enter(0, None);
        }
        self.waking_to_back(|| self.driver.reap()) > 0
    }

    /// Looks for a task in every place. Returns whether this worker has one now. `now` is the time, if it was just read.
    fn find_work(&self, now: Option<Instant>) -> bool {
        self.do_io_at(now.unwrap_or_else(Instant::now));
        self.fire_timers();
        self.read_mail();
        self.has_task() || self.take_injected() || self.steal()
    }

    /// Gives every queued task that is not bound to this worker to the others, and wakes one for them.
    pub(crate) fn hand_over_tasks(&self) {
        let mut any = false;
        let take = || {
            let lifo = self.peer().lifo.take();
            lifo.or_else(|| self.due.pop().or_else(|| self.queue.pop()))
        };
        while let Some(task) = take() {
            self.shared.injector.push(task);
            any = true;
        }
        if any {
            self.shared.wake_one(self.index + 1);
        }
    }

    /// Makes this worker the current one of the thread while `f` runs.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = context::enter_worker(self);
        f()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let remote = self.driver.remote();
        if !self.driver.close() {
            // The kernel may still write into what these operations own.
            std::mem::forget(remote.clone());
        }
        let leftover = self.peer().tasks.count_in_absence() > 0
            || !self.queue.is_empty()
            || !self.due.is_empty()
            || !self.pinned.borrow().is_empty()
            || !self.peer().lifo.is_empty();
        if leftover {
            // Tasks that never ended point to the runtime.
            std::mem::forget(self.shared.clone());
        }
    }
}
