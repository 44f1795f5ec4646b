//! One deadline as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, RawWakerVTable, Waker};

use crate::context;
use crate::driver::remote::{Message, Remote};
use crate::driver::slot::{Registered, SlotState};
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
}

#[derive(Debug)]
struct Registration {
    state: TimerState,
    remote: Arc<Remote>,
    key: TimerKey,
    waker: Identity,
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
    /// A timer that completes at `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            registration: None,
            elsewhere: None,
            stranded: false,
        }
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
        self.deadline = deadline;
    }

    fn deregister(&mut self) {
        if let Some(task) = self.elsewhere.take() {
            task.cancel();
        }
        let Some(registration) = self.registration.take() else {
            return;
        };
        if registration.state.is_complete() {
            return;
        }
        let Registration { remote, key, .. } = registration;
        let removed = context::with_own_timers(&remote, |timers| timers.remove(key));
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
            handle.spawn(Self::new(deadline))
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
        let identity = Identity::of(cx.waker());
        if let Some(registration) = &mut self.registration {
            if !registration.state.is_complete() {
                if registration.waker == identity && registration.state.has_waker() {
                    return Poll::Pending;
                }
                registration.waker = identity;
                if registration.state.register(cx.waker()) == Registered::Waiting {
                    return Poll::Pending;
                }
            }
            // Fired. A worker that leaves its seat fires its timers early, to move them elsewhere; so
            // the clock decides, unless this worker has read it.
            self.registration = None;
            if context::with_timers(|_, timers| timers.has_reached(self.deadline)) == Some(true) {
                return Poll::Ready(());
            }
        }
        let now = Instant::now();
        if now >= self.deadline {
            return Poll::Ready(());
        }
        if self.stranded {
            return Poll::Pending;
        }
        if self.elsewhere.is_some() {
            return self.poll_elsewhere(cx);
        }
        let state = TimerState::new(SlotState::new());
        state.arm(cx.waker().clone());
        let registered = context::with_timers(|remote, timers| {
            let key = timers.insert(now, self.deadline, state.clone());
            Registration {
                state,
                remote: remote.clone(),
                key,
                waker: identity,
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
