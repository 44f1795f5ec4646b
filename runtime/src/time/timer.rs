//! One deadline as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

use crate::context;
use crate::driver::remote::{Message, Remote};
use crate::driver::slot::{Registered, SlotState};
use crate::primitives::Arc;
use crate::scope::Leaf;
use crate::task::JoinHandle;
use crate::time::{Instant, TimerKey};

/// What a wheel holds of a timer: the same state machine as an operation's slot, with the wheel as the
/// reaper.
pub(crate) type TimerState = Arc<SlotState>;

/// Completes at its deadline: never early, and as soon after as the worker gets to it. A worker that
/// sleeps may serve it a little later, together with others
/// (see [`Builder::timer_slack`](crate::Builder::timer_slack)).
///
/// It is registered with the wheel of the worker that first polls it before the deadline; a timer that
/// is never polled costs nothing. Sleeps, timeouts and intervals of `heist-sync` are built on it.
///
/// # Cancel safety
///
/// Dropping it removes it; from another worker through the owner's mailbox.
///
/// # Panics
///
/// When it is polled before its deadline outside a runtime.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Timer {
    deadline: Instant,
    registration: Option<Registration>,
    /// A task that waits in its stead when it is polled outside the workers.
    elsewhere: Option<JoinHandle<()>>,
    /// The runtime has ended: its clock will not get there.
    stranded: bool,
    /// It is no leaf: it runs also in a cancelled scope.
    masked: bool,
    /// A recent look at the clock, for the first poll.
    seen: Option<Instant>,
    leaf: Leaf,
}

#[derive(Debug)]
struct Registration {
    wait: Wait,
    remote: std::sync::Arc<Remote>,
    key: TimerKey,
}

/// The timer's half of what it shares with a wheel.
#[derive(Debug)]
struct Wait {
    state: TimerState,
    /// The waker registered last.
    waker: Identity,
}

impl Wait {
    /// Arms a state that nobody else knows of.
    fn new(state: TimerState, waker: &Waker) -> Self {
        state.arm(waker.clone());
        Self {
            state,
            waker: Identity::of(waker),
        }
    }

    fn is_over(&self) -> bool {
        self.state.is_complete()
    }

    /// Whether the wheel has fired it; if not, `waker` will be called.
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        let identity = Identity::of(waker);
        if self.waker == identity && self.state.has_waker() {
            return Poll::Pending;
        }
        self.waker = identity;
        match self.state.register(waker) {
            Registered::Waiting => Poll::Pending,
            Registered::Complete => Poll::Ready(()),
        }
    }
}

/// Tells wakers apart without keeping one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(usize, usize);

impl Identity {
    fn of(waker: &Waker) -> Self {
        let vtable: *const RawWakerVTable = waker.vtable();
        Self(waker.data().addr(), vtable.addr())
    }
}

impl Timer {
    /// A timer that completes at `deadline`. In a cancelled scope it does not start.
    #[track_caller]
    pub fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            registration: None,
            elsewhere: None,
            stranded: false,
            masked: false,
            seen: None,
            leaf: Leaf::here(),
        }
    }

    /// A timer that pays no attention to the scope it is in, for those who watch over others: it starts
    /// also when that is being cancelled, and does not say that the scope waits here.
    #[track_caller]
    pub fn masked(deadline: Instant) -> Self {
        let mut timer = Self::new(deadline);
        timer.masked = true;
        timer
    }

    /// A masked timer of somebody who has looked at the clock already, at `now`: the first poll does not.
    ///
    /// Nor does that poll set anything up if the task has been woken meanwhile: it will be polled again at once, by
    /// when the timer is often not wanted any more. From the second poll on it is a timer like all others.
    #[track_caller]
    pub fn masked_since(now: Instant, deadline: Instant) -> Self {
        let mut timer = Self::masked(deadline);
        timer.seen = Some(now);
        timer
    }

    /// As [`new`](Self::new), of somebody who has looked at the clock already, at `now`: the first poll does not, as
    /// for [`masked_since`](Self::masked_since).
    #[track_caller]
    pub fn since(now: Instant, deadline: Instant) -> Self {
        let mut timer = Self::new(deadline);
        timer.seen = Some(now);
        timer
    }

    /// When it completes.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Sets another deadline; the timer can be awaited again, also after it has completed.
    pub fn reset(&mut self, deadline: Instant) {
        self.deregister();
        self.stranded = false;
        self.seen = None;
        self.deadline = deadline;
    }

    fn deregister(&mut self) {
        if let Some(task) = self.elsewhere.take() {
            task.cancel();
        }
        let Some(registration) = self.registration.take() else {
            return;
        };
        if registration.wait.is_over() {
            return;
        }
        let Registration { wait, remote, key } = registration;
        let mut state = Some(wait.state);
        let removed = context::with_own_timers(&remote, |timers| {
            timers.remove(key);
            timers.keep(state.take().expect("called once"));
        });
        if removed.is_none() {
            remote.send(Message::DropTimer(key));
        }
    }

    #[cold]
    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let task = self.elsewhere.get_or_insert_with(|| {
            let Some(handle) = crate::Handle::try_current() else {
                panic!(
                    "a timer was polled outside a Heist runtime; await it inside `block_on`, \
                     a spawned task, or under a `Handle::enter` guard"
                )
            };
            handle.spawn(Self::masked(deadline))
        });
        match Pin::new(task).poll(cx) {
            Poll::Ready(Ok(())) => {
                self.elsewhere = None;
                Poll::Ready(())
            }
            Poll::Ready(Err(_)) => {
                self.elsewhere = None;
                self.stranded = true;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.masked {
            return self.poll_masked(cx);
        }
        if self.registration.is_none() && self.elsewhere.is_none() && !self.stranded {
            ready!(self.leaf.start());
        }
        match self.poll_masked(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.leaf.pending(),
        }
    }
}

impl Timer {
    fn poll_masked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(registration) = &mut self.registration
            && registration.wait.poll(cx.waker()).is_pending()
        {
            return Poll::Pending;
        }
        if let Some(registration) = self.registration.take() {
            // Fired. A worker that leaves its seat fires its timers early, to move them elsewhere; so
            // the clock decides, unless this worker has read it.
            let reached = context::with_timers(|_, timers| {
                timers.keep(registration.wait.state);
                timers.has_reached(self.deadline)
            });
            if reached == Some(true) {
                return Poll::Ready(());
            }
        }
        let seen = self.seen.take();
        let now = seen.unwrap_or_else(Instant::now);
        if now >= self.deadline {
            return Poll::Ready(());
        }
        // Whoever passed this waker on has to poll here again when it is called, and it has been.
        if seen.is_some() && context::is_woken(cx.waker()) {
            return Poll::Pending;
        }
        if self.stranded {
            return Poll::Pending;
        }
        if self.elsewhere.is_some() {
            return self.poll_elsewhere(cx);
        }
        let registered = context::with_timers(|remote, timers| {
            let wait = Wait::new(timers.state(), cx.waker());
            let key = timers.insert(now, self.deadline, wait.state.clone());
            Registration {
                wait,
                remote: remote.clone(),
                key,
            }
        });
        match registered {
            Some(registration) => self.registration = Some(registration),
            None => return self.poll_elsewhere(cx),
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.deregister();
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::atomic::{AtomicBool, Ordering};
    use crate::primitives::model::Flag;
    use crate::time::wheel::Wheel;
    use loom::thread;

    const DUE: u64 = 1 << 30;

    /// Owner: fires what is due.
    fn fire(wheel: &mut Wheel<TimerState>) {
        let mut fired = Vec::new();
        wheel.expire(2 * DUE, &mut |_, state| fired.push(state));
        for state in fired {
            let (waker, orphan) = state.complete();
            assert!(!orphan);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn insert(wheel: &mut Wheel<TimerState>, state: &TimerState) -> TimerKey {
        wheel.insert_with_slack(DUE, 0, state.clone())
    }

    /// A timer fires while another thread polls it, twice with the same waker that is not the first one:
    /// a poll sees that it has fired, or the waker of the last poll is called.
    ///
    /// Control, tried: a `poll` with an equal waker that does not ask whether there still is one.
    #[test]
    fn loom_fire_against_polls() {
        loom::model(|| {
            let (_, first) = Flag::new();
            let (flag, second) = Flag::new();
            let mut wait = Wait::new(TimerState::new(SlotState::new()), &first);
            let mut wheel = Wheel::new(0);
            insert(&mut wheel, &wait.state);
            let poller = thread::spawn(move || {
                for _ in 0..2 {
                    flag.take();
                    if wait.poll(&second).is_ready() {
                        return (wait, flag, true);
                    }
                }
                (wait, flag, false)
            });
            fire(&mut wheel);
            let (wait, flag, ready) = poller.join().expect("poller");
            assert!(ready || flag.take(), "the poller sleeps on a fired timer");
            assert!(wait.is_over());
        });
    }

    /// A timer fires while another thread drops it. Whatever comes first, the state and its waker go away
    /// once, and a timer that has taken the place in the wheel stays.
    ///
    /// Control, tried: a removal that does not look at the generation of its key.
    #[test]
    fn loom_fire_against_drop() {
        loom::model(|| {
            let (flag, waker) = Flag::new();
            let wait = Wait::new(TimerState::new(SlotState::new()), &waker);
            drop(waker);
            let mut wheel = Wheel::new(0);
            let key = insert(&mut wheel, &wait.state);
            // Stands for the message `DropTimer` in the owner's mailbox.
            let mail = Arc::new(AtomicBool::new(false));
            let dropper = {
                let mail = mail.clone();
                thread::spawn(move || {
                    if !wait.is_over() {
                        mail.store(true, Ordering::Release);
                    }
                    drop(wait);
                })
            };
            let read_mail = |wheel: &mut Wheel<TimerState>| {
                if mail.swap(false, Ordering::AcqRel) {
                    drop(wheel.remove(key));
                }
            };
            read_mail(&mut wheel);
            fire(&mut wheel);
            assert_eq!(wheel.len(), 0);
            let (_, other) = Flag::new();
            let other = Wait::new(TimerState::new(SlotState::new()), &other);
            insert(&mut wheel, &other.state);
            read_mail(&mut wheel);
            dropper.join().expect("dropper");
            read_mail(&mut wheel);
            assert_eq!(wheel.len(), 1, "another timer was removed");
            assert_eq!(
                std::sync::Arc::strong_count(&flag),
                1,
                "the waker of a timer that is gone is alive"
            );
        });
    }

    /// A timer that another thread drops is removed by its owner, and does not fire afterwards.
    ///
    /// Control, tried: a removal that leaves the timer in the wheel.
    #[test]
    fn loom_drop_against_the_owner() {
        loom::model(|| {
            let (flag, waker) = Flag::new();
            let wait = Wait::new(TimerState::new(SlotState::new()), &waker);
            drop(waker);
            let mut wheel = Wheel::new(0);
            let key = insert(&mut wheel, &wait.state);
            let mail = Arc::new(AtomicBool::new(false));
            let dropper = {
                let mail = mail.clone();
                thread::spawn(move || {
                    assert!(!wait.is_over());
                    mail.store(true, Ordering::Release);
                    drop(wait);
                })
            };
            let removed = mail.swap(false, Ordering::AcqRel) && wheel.remove(key).is_some();
            dropper.join().expect("dropper");
            assert_eq!(wheel.len(), usize::from(!removed));
            drop(wheel.remove(key));
            fire(&mut wheel);
            assert!(!flag.take(), "a removed timer fired");
            assert_eq!(std::sync::Arc::strong_count(&flag), 1);
        });
    }
}
