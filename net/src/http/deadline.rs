//! The clocks of an exchange.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

use super::error::{Error, Phase};
use super::trace::Trace;

/// A point in time that every step of an exchange is raced against.
///
/// A timeout around each step would register and cancel a timer per step. This one timer is made the first time that a
/// step has to wait, and lives until the body has been read. It is in a box, as a warm pool has no such step: the
/// response of an open connection has an [`Alarm`].
#[derive(Debug)]
pub(super) struct Deadline {
    at: Option<Instant>,
    timer: Option<Box<Timer>>,
    after: Duration,
}

/// The deadline passed; how long it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimedOut(pub(super) Duration);

impl Deadline {
    /// A deadline this far away; none for `None`, or if the clock does not reach that far.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self::since(Instant::now(), timeout)
    }

    /// The same of somebody who has just looked at the clock.
    fn since(now: Instant, timeout: Option<Duration>) -> Self {
        let at = timeout.and_then(|timeout| now.checked_add(timeout));
        Self {
            at,
            timer: None,
            after: timeout.unwrap_or(Duration::MAX),
        }
    }

    /// When a wait of this length ends, if that is before it.
    pub(super) fn allows(&self, wait: Duration) -> Option<Instant> {
        let end = Instant::now().checked_add(wait)?;
        self.at.is_none_or(|at| end < at).then_some(end)
    }

    /// Ready once it has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TimedOut> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let timer = (self.timer).get_or_insert_with(|| Box::new(Timer::new(at)));
        Pin::new(timer).poll(cx).map(|()| TimedOut(self.after))
    }

    /// Waits for `step` or the deadline. A step that is ready wins over a deadline that has passed.
    ///
    /// The step is pinned already, where it was made: every function that takes a future would keep it once more.
    pub(super) fn race<F: Future + Unpin>(
        &mut self,
        mut step: F,
    ) -> impl Future<Output = Result<F::Output, TimedOut>> + Unpin {
        poll_fn(move |cx| {
            if let Poll::Ready(value) = Pin::new(&mut step).poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll(cx).map(Err)
        })
    }
}

/// The limit of silence on a connection. Anything that moves sets it back.
#[derive(Debug)]
pub(super) struct Silence {
    after: Option<Duration>,
    until: Option<Instant>,
    seen: u64,
}

impl Silence {
    /// A limit on silence; none for `None`.
    pub(super) fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            until: None,
            seen: 0,
        }
    }

    /// When it will have lasted too long, if nothing moves. Looks whether anything has moved since the last call:
    /// then `progress` is another number. Asked only when there is something to wait for.
    fn until(&mut self, progress: u64, look: &mut Look) -> Option<Instant> {
        let after = self.after?;
        if progress != self.seen || self.until.is_none() {
            self.seen = progress;
            self.until = look.now().checked_add(after);
        }
        self.until
    }
}

/// The limit of waiting for a head. Nothing sets it back.
#[derive(Debug)]
pub(super) struct Patience {
    after: Option<Duration>,
    until: Option<Instant>,
}

impl Patience {
    /// A limit that begins with the first wait; none for `None`.
    pub(super) fn new(after: Option<Duration>) -> Self {
        Self { after, until: None }
    }

    fn until(&mut self, look: &mut Look) -> Option<Instant> {
        if self.until.is_none() {
            self.until = look.now().checked_add(self.after?);
        }
        self.until
    }
}

/// One look at the clock, made when the first asks, that serves all who ask.
#[derive(Debug)]
struct Look(Option<Instant>);

impl Look {
    fn now(&mut self) -> Instant {
        *self.0.get_or_insert_with(Instant::now)
    }
}

/// Fires at a time that may move while it is waited for.
///
/// Most waits are short, and most deadlines move on before they come. So one timer serves all of an exchange, and is
/// left where it is when what it was set for moves on; when it fires, it is set again.
#[derive(Debug)]
enum Alarm {
    Unset,
    /// It is not set, and somebody has just looked at the clock.
    Looked(Instant),
    Set(Timer),
}

impl Alarm {
    /// Ready once `at` has passed.
    fn poll(&mut self, cx: &mut Context<'_>, at: Instant, look: &mut Look) -> Poll<()> {
        loop {
            let timer = match &mut *self {
                Self::Set(timer) if timer.deadline() <= at => timer,
                other => {
                    *other = Self::Set(Timer::since(look.now(), at));
                    continue;
                }
            };
            ready!(Pin::new(&mut *timer).poll(cx));
            if timer.deadline() == at {
                return Poll::Ready(());
            }
            timer.reset(at);
        }
    }

    /// The last look at the clock, told once.
    fn take_look(&mut self) -> Option<Instant> {
        let Self::Looked(now) = *self else {
            return None;
        };
        *self = Self::Unset;
        Some(now)
    }
}

/// What goes along with one request from its start to the end of its body: its clocks, and what is told of it.
#[derive(Debug)]
pub(super) struct Clocks {
    pub(super) trace: Trace,
    /// For everything, redirects and the whole body included.
    pub(super) total: Deadline,
    /// For a free connection.
    pub(super) turn: Option<Duration>,
    /// For a connection that is silent.
    silence: Silence,
    /// For a head.
    head: Patience,
    /// For all of them. Before it is set it keeps a look at the clock: a warm request looks once for its deadline, for the
    /// connection that it gets, and for its first wait.
    alarm: Alarm,
}

impl Clocks {
    /// Those of a request that begins now.
    pub(super) fn start(
        total: Option<Duration>,
        turn: Option<Duration>,
        silence: Option<Duration>,
        head: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        Self {
            trace: Trace::default(),
            total: Deadline::since(now, total),
            turn,
            silence: Silence::new(silence),
            head: Patience::new(head),
            alarm: Alarm::Looked(now),
        }
    }

    /// The last look at the clock, if nobody has waited since. It is told once.
    pub(super) fn take_look(&mut self) -> Option<Instant> {
        self.alarm.take_look()
    }

    /// The clock was looked at, and is asked again before anybody waits.
    pub(super) fn has_looked(&mut self, now: Instant) {
        if let Alarm::Unset = self.alarm {
            self.alarm = Alarm::Looked(now);
        }
    }

    /// Nobody waits for the connection at present.
    pub(super) fn pause(&mut self) {
        self.silence.until = None;
        self.head.until = None;
        self.alarm.take_look();
    }

    /// Ready when the time for waiting is up. `late`: it is the body of the request that is waited for; `progress`
    /// changes with whatever moves.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        late: bool,
        progress: u64,
        phase: Phase,
    ) -> Poll<Error> {
        let mut look = Look(self.alarm.take_look());
        let silence = if late {
            // It is the caller who is late, and not the server.
            self.silence.until = None;
            None
        } else {
            self.silence.until(progress, &mut look)
        };
        let head = match phase {
            Phase::Head => self.head.until(&mut look),
            _ => None,
        };
        let all = [head, silence, self.total.at];
        let Some(at) = all.into_iter().flatten().min() else {
            return Poll::Pending;
        };
        ready!(self.alarm.poll(cx, at, &mut look));
        let timed_out =
            |after: Option<Duration>| TimedOut(after.unwrap_or(Duration::MAX)).at(phase);
        Poll::Ready(if head == Some(at) {
            timed_out(self.head.after).with_remedy("raise `head_timeout`, or try again later")
        } else if silence == Some(at) {
            let remedy = "the server was silent; raise `read_timeout`, or try again later";
            timed_out(self.silence.after).with_remedy(remedy)
        } else {
            timed_out(Some(self.total.after))
        })
    }
}
