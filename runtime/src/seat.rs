//! Worker 0's place: the thread inside `block_on` takes it, and leaves it in order.
//!
//! Nothing may wait on a worker that no thread runs. So before the thread leaves, what is in flight on its
//! ring is cancelled and started again on other workers, its timers move, its tasks go to the injector,
//! and tasks bound to it end. With a single worker everything simply waits for the next `block_on`.
//!
//! What the kernel does not cancel (a file operation that it has begun) is waited for only until nothing
//! has ended for `LEAVE_LIMIT`. Then the ring is left behind, see `driver/left`.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake as WakeByArc, Waker};
use std::thread::{Thread, ThreadId};
use std::time::Duration;

use crate::driver::remote::Remote;
use crate::error::BuildError;
use crate::panics::abort_on_unwind;
use crate::scheduler::worker::{NoRoot, Root, Worker};
use crate::scope::Reason;
use crate::task::TaskRef;
use crate::task::state::Wake;
use crate::threads::current_thread_id;
use crate::time::{Instant, Timer};
use crate::trace;

/// Worker 0 while no thread runs it.
#[derive(Debug)]
pub(crate) struct Seat {
    worker: Box<Worker>,
    /// The thread that opened the ring, to which it belongs.
    opened_by: Option<ThreadId>,
}

/// Wakes the future of `block_on`.
struct RootWaker {
    woken: AtomicBool,
    remote: Arc<Remote>,
}

impl WakeByArc for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.remote.unpark();
        }
    }
}

/// The future of `block_on` on its way to a value.
struct RootFuture<'a, F: Future> {
    future: RefCell<Pin<&'a mut F>>,
    /// The value, or the payload of the future's panic.
    output: Cell<Option<std::thread::Result<F::Output>>>,
    waker: Arc<RootWaker>,
}

impl<F: Future> Root for RootFuture<'_, F> {
    fn is_woken(&self) -> bool {
        self.waker.woken.load(Ordering::SeqCst)
    }

    fn poll_if_woken(&self) -> bool {
        if !self.waker.woken.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = Waker::from(self.waker.clone());
        let mut cx = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            self.future.borrow_mut().as_mut().poll(&mut cx)
        }));
        let output = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        self.output.set(Some(output));
        true
    }
}

/// Runs a worker until no task bound to it is left, or the time for that is over.
struct UntilUnpinned<'a> {
    worker: &'a Worker,
    grace: Option<RefCell<Timer>>,
    waker: Arc<RootWaker>,
}

impl<'a> UntilUnpinned<'a> {
    fn new(worker: &'a Worker) -> Self {
        let grace = worker.shared().config.cleanup_grace;
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        Self {
            worker,
            grace: deadline.map(|deadline| RefCell::new(Timer::masked(deadline))),
            waker: Arc::new(RootWaker {
                woken: AtomicBool::new(true),
                remote: worker.driver().remote().clone(),
            }),
        }
    }
}

impl Root for UntilUnpinned<'_> {
    fn is_woken(&self) -> bool {
        !self.worker.has_pinned_tasks() || self.waker.woken.load(Ordering::SeqCst)
    }

    fn poll_if_woken(&self) -> bool {
        if !self.worker.has_pinned_tasks() {
            return true;
        }
        let woken = self.waker.woken.swap(false, Ordering::SeqCst);
        let Some(grace) = &self.grace else {
            return false;
        };
        let waker = Waker::from(self.waker.clone());
        let mut cx = Context::from_waker(&waker);
        woken && Pin::new(&mut *grace.borrow_mut()).poll(&mut cx).is_ready()
    }
}

impl Seat {
    pub(crate) fn new(worker: Box<Worker>) -> Self {
        Self {
            worker,
            opened_by: None,
        }
    }

    /// Makes the calling thread worker 0's.
    pub(crate) fn open(&mut self) -> Result<(), BuildError> {
        let me = std::thread::current().id();
        let driver = self.worker.driver();
        let config = self.worker.shared().config.ring;
        if self.opened_by == Some(me) && driver.is_open() {
            return Ok(());
        }
        if driver.is_open() && !driver.close() && driver.is_open() {
            let cause =
                "what another thread had begun could not be left behind, for want of memory";
            let error = std::io::Error::other(cause);
            return Err(BuildError::ring_of(config, error, "ring of worker 0"));
        }
        driver
            .open(config)
            .map_err(|error| BuildError::ring_of(config, error, "ring of worker 0"))?;
        self.opened_by = Some(me);
        Ok(())
    }

    /// Runs `future` to its end on the calling thread.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        if let Err(error) = self.open() {
            panic!("block_on needs a ring on this thread: {error}");
        }
        let worker = &*self.worker;
        let future = pin!(future);
        let root = RootFuture {
            future: RefCell::new(future),
            output: Cell::new(None),
            waker: Arc::new(RootWaker {
                woken: AtomicBool::new(true),
                remote: worker.driver().remote().clone(),
            }),
        };
        let mut is_left = false;
        worker.enter(|| {
            take_place(worker);
            abort_on_unwind(0, || {
                trace::seat_taken();
                worker.run(&root);
                is_left = leave_place(worker);
            });
        });
        if is_left {
            // Not before: the signal handler uses the ring of a thread that is a worker.
            worker.driver().leave_ring();
        }
        trace::seat_left();
        let output = root
            .output
            .take()
            .expect("the loop ends when the future has its output");
        output.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Runs worker 0 through the shutdown, to its end.
    pub(crate) fn run_to_end(&mut self) {
        if self.open().is_err() {
            // Without a ring there is nothing in flight here; tasks left behind stay unfinished, and
            // keep the runtime's memory (see `Drop` of `Worker`).
            return;
        }
        let worker = &*self.worker;
        worker.enter(|| {
            take_place(worker);
            abort_on_unwind(0, || worker.run(&NoRoot));
            worker.depart();
        });
    }
}

fn take_place(worker: &Worker) {
    worker.driver().ring().register_descriptor();
    let remote = worker.driver().remote();
    remote.thread.store(current_thread_id(), Ordering::Release);
    worker.note_cpu();
    worker.arrive();
    worker.driver().left().look(worker.driver());
    // The future may get stuck in its first poll.
    worker.note_sleep();
}

/// Returns whether the ring is to be left behind.
fn leave_place(worker: &Worker) -> bool {
    loop {
        worker.end_pinned_tasks();
        worker.evacuate();
        // What evacuation wakes may spawn a task bound to this thread.
        if !worker.has_pinned_tasks() {
            break;
        }
    }
    let is_left = worker.driver().prepare_to_leave_ring();
    worker.depart();
    worker.hand_over_if_possible();
    worker.driver().ring().unregister_descriptor();
    is_left
}

/// Wakes a thread that waits inside `block_on` without being worker 0.
#[derive(Debug)]
pub(crate) struct GuestWaker {
    thread: Thread,
    woken: AtomicBool,
}

impl GuestWaker {
    /// A waker for the calling thread, woken already: the first poll is due.
    pub(crate) fn new() -> Self {
        Self {
            thread: std::thread::current(),
            woken: AtomicBool::new(true),
        }
    }

    /// Sleeps until woken. The flag, and not the thread's own token, says so: user code may use that up.
    pub(crate) fn wait(&self) {
        while !self.woken.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

impl WakeByArc for GuestWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Worker {
    /// Ends the tasks bound to this worker: their futures may not be touched on another thread. They unwind
    /// first, for as long as a cleanup may take.
    fn end_pinned_tasks(&self) {
        if !self.has_pinned_tasks() {
            return;
        }
        for task in self.linked_pinned_tasks() {
            task.cancel(Reason::Shutdown);
        }
        self.run(&UntilUnpinned::new(self));
        while self.has_pinned_tasks() {
            for task in self.linked_pinned_tasks() {
                let (_first, wake) = task.abort();
                if wake == Wake::Schedule {
                    self.push_back(task);
                }
            }
            self.read_mail();
            loop {
                // Not while running it: a task may spawn others.
                let task = self.pinned().borrow_mut().pop_front();
                let Some(task) = task else { break };
                self.run_task(task);
            }
        }
    }

    fn linked_pinned_tasks(&self) -> Vec<TaskRef> {
        let mut tasks = Vec::new();
        self.list().for_each(|task| {
            if task.header().pinned {
                tasks.push(task);
            }
        });
        tasks
    }

    /// Moves what waits on this worker to the others.
    fn evacuate(&self) {
        self.timers().evacuate();
        loop {
            self.read_mail();
            let here = || self.driver().in_flight_here();
            if here() > 0 && !self.drain(LEAVE_LIMIT, here) {
                break;
            }
            if !self.driver().remote().has_mail() {
                break;
            }
        }
        self.hand_over_if_possible();
    }

    /// Gives the queued tasks to the other workers, if there are any that take them.
    fn hand_over_if_possible(&self) {
        if self.peers().len() > 1 && self.shared().config.steals {
            self.hand_over_tasks();
        }
    }
}

/// How long a thread that leaves the seat waits for the next cancelled operation to end.
const LEAVE_LIMIT: Duration = Duration::from_millis(100);

/// How long dropping a runtime waits for tasks that do not return from their poll.
pub(crate) const DROP_GRACE: Duration = Duration::from_secs(5);

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io;

    use crate::driver::ring::{Ring, RingConfig};
    use crate::driver::sys;
    use crate::{Builder, Driver};

    /// How many ring descriptors the calling thread can still register; an error where there is no io_uring.
    fn free_places() -> io::Result<usize> {
        let config = RingConfig {
            sq_entries: 1,
            cq_entries: 2,
            flags: 0,
            emulated: false,
        };
        let ring = Ring::new(config)?;
        let mut taken = Vec::new();
        while let Ok(index) = sys::register_ring_fd(ring.fd()) {
            taken.push(index);
        }
        for &index in &taken {
            sys::unregister_ring_fd(ring.fd(), index).expect("it was registered");
        }
        Ok(taken.len())
    }

    /// A thread that had been worker 0 kept its ring registered, and so alive, until it exited.
    #[test]
    fn a_thread_that_leaves_the_seat_keeps_no_ring_registered() {
        let before = match free_places() {
            Ok(before) => before,
            Err(error) => {
                eprintln!("skipped: no io_uring here: {error}");
                return;
            }
        };
        let free_places = || free_places().expect("a ring");
        let builder = Builder::new().driver(Driver::Uring).worker_threads(1);
        let runtime = builder.build().expect("a runtime");
        assert_eq!(free_places(), before, "after the runtime was built");
        for _ in 0..3 {
            let inside = runtime.block_on(async { free_places() });
            assert_eq!(inside, before - 1, "a worker's ring is registered");
            assert_eq!(free_places(), before, "after block_on");
            std::thread::scope(|scope| {
                scope.spawn(|| runtime.block_on(async {}));
            });
        }
        drop(runtime);
        assert_eq!(free_places(), before, "after the runtime");
    }
}
