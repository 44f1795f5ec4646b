//! What a scope does around each poll of its body when that takes more than a poll: the body is being
//! cancelled, or cleanups of others have come.
//!
//! ```text
//!                  cancelled                quiet, stalled, aborted
//!    BODY ────────────────────▶ UNWINDING ──────────────────────────▶ CLEANING ──▶ closed
//!      │                          │                                      ▲
//!      └────── value, panic ──────┴─── value, panic (they win) ──────────┘
//! ```
//!
//! - BODY: the body is polled.
//! - UNWINDING: the body is polled, round after round, until nothing in it has anything left to do. Leaves
//!   do not start; those in the kernel's hands, shields and scopes further down that still unwind hold
//!   tokens. A round that ends with the body pending, no token out and nobody woken finds it *quiet*: every
//!   future in it is parked for good, unless the cancel goes on spreading below (see `tree`). Then it is dropped, which
//!   runs the synchronous destructors of everything between this scope and those below, which have ended.
//! - CLEANING: the body is gone; cleanups that were adopted run, shielded.
//!
//! So the innermost scope ends first, and what is around it follows without any signal but its being polled.
//!
//! # Rounds that lead nowhere
//!
//! Something that holds a token, was woken, and is not polled in a round, will not be polled in the next
//! one either if the code in between has stopped polling it. After `ROUNDS` such rounds the body is dropped,
//! and what is left of its cleanup is adopted. Likewise a future that knows nothing of cancellation and
//! wakes itself in every round. A round does not count while a wake is under way: the thread that has noted it, and
//! has yet to call the waker, may have lost its CPU for longer than any number of rounds takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::context;
use crate::scope::cleanup::{self, Cleanup};
use crate::scope::node::NodeRef;
use crate::scope::token::{Token, hold_current};
use crate::scope::waker::waker;
use crate::scope::{Exit, Reason, current};
use crate::time::{Instant, Timer};

/// Rounds without progress before a body is dropped as it is.
const ROUNDS: u32 = 64;

/// What a scope runs.
pub(crate) trait Body {
    type Output;

    /// Whether it has not been dropped.
    fn is_there(&self) -> bool;

    /// Whether it may be polled for the first time in a scope that is cancelled already.
    fn may_begin(&self) -> bool;

    fn poll(&mut self, cx: &mut Context<'_>) -> std::thread::Result<Poll<Self::Output>>;

    fn drop(&mut self) -> std::thread::Result<()>;
}

/// What a scope remembers while it needs care.
#[derive(Debug)]
pub(crate) struct Unwinding<T> {
    pub(crate) exit: Option<Exit<T>>,
    cleanups: Vec<Cleanup>,
    token: Option<Token>,
    rounds: u32,
    grace: Grace,
}

impl<T> Default for Unwinding<T> {
    fn default() -> Self {
        Self {
            exit: None,
            cleanups: Vec::new(),
            token: None,
            rounds: 0,
            grace: Grace::NotBegun,
        }
    }
}

/// How long the cleanup of a cancelled scope may take.
#[derive(Debug)]
enum Grace {
    NotBegun,
    Endless,
    Until(Timer, Duration),
}

impl Grace {
    /// Begins, the first time. Returns the length of the grace when it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Duration> {
        if matches!(self, Self::NotBegun) {
            let deadline = context::cleanup_grace()
                .and_then(|grace| Some((Instant::now().checked_add(grace)?, grace)));
            *self = match deadline {
                Some((deadline, grace)) => Self::Until(Timer::masked(deadline), grace),
                None => Self::Endless,
            };
        }
        let Self::Until(timer, grace) = self else {
            return None;
        };
        if Pin::new(timer).poll(cx).is_pending() {
            return None;
        }
        let grace = *grace;
        *self = Self::Endless;
        Some(grace)
    }
}

/// What a round has shown.
pub(super) enum Verdict {
    /// Something below goes on unwinding, or a cancel goes on spreading; whoever it is wakes the scope.
    Busy,
    /// Somebody in it was woken: another round may get further.
    Again,
    Quiet,
}

/// What a round has shown; `cleanups` have their turn after it.
pub(super) fn judge(node: &NodeRef, cleanups: &[Cleanup]) -> Verdict {
    if node.is_busy() {
        if node.is_stalled(|child| cleanups.iter().any(|cleanup| cleanup.runs_in(child))) {
            return Verdict::Again;
        }
        return Verdict::Busy;
    }
    // Both bits of one moment: a cancel that has told the scope has hit it.
    let flags = node.flags.get();
    if flags.was_hit() {
        return Verdict::Again;
    }
    if flags.is_untold() {
        return Verdict::Busy;
    }
    Verdict::Quiet
}

/// Polls the body of `node`, or what comes after it, in a poll that [`Unwinding::begin`] has begun. The waker of `cx`
/// was registered with the node since. When it is ready, the node is closed.
pub(crate) fn drive<B: Body>(
    node: &NodeRef,
    unwinding: &mut Unwinding<B::Output>,
    body: &mut B,
    cx: &mut Context<'_>,
) -> Poll<Exit<B::Output>> {
    if !matches!(unwinding.grace, Grace::NotBegun) {
        unwinding.keep_time(node, cx);
    }
    loop {
        {
            let _entered = current::enter(node);
            unwinding.poll_body(node, body, cx);
            let before = unwinding.cleanups.len();
            unwinding.poll_cleanups(node, cx);
            // The body was held up by a cleanup that has ended just now: another round.
            if body.is_there() && unwinding.cleanups.len() < before {
                node.wake();
            }
        }
        if body.is_there() || !unwinding.cleanups.is_empty() {
            // The scope around may have been cancelled meanwhile.
            hold_current(&mut unwinding.token, Some(node));
            if node.flags.get().is_own() && unwinding.keep_time(node, cx) {
                continue;
            }
            return Poll::Pending;
        }
        if node.close() {
            unwinding.token = None;
            let exit = unwinding.exit.take();
            return Poll::Ready(exit.expect("a scope was polled after its end"));
        }
    }
}

impl<T> Unwinding<T> {
    /// A poll begins. Before the waker is registered: a wake that takes it away again then leaves a note that this
    /// does not clear.
    pub(crate) fn begin(&mut self, node: &NodeRef) {
        hold_current(&mut self.token, Some(node));
        node.flags.begin_poll();
    }

    fn poll_body<B: Body<Output = T>>(
        &mut self,
        node: &NodeRef,
        body: &mut B,
        cx: &mut Context<'_>,
    ) {
        while body.is_there() {
            let cancelled = node.flags.get().is_cancelled();
            if cancelled && (!body.may_begin() || node.is_aborted()) {
                self.exit = Some(self.cancelled(node));
                self.drop_body(body);
                return;
            }
            let polled = if cancelled || self.token.is_some() {
                node.begin_round();
                body.poll(&mut Context::from_waker(&waker(node)))
            } else {
                body.poll(cx)
            };
            match polled {
                Ok(Poll::Ready(value)) => self.exit = Some(Exit::Value(value)),
                Err(payload) => self.exit = Some(Exit::Panicked(payload)),
                Ok(Poll::Pending) => {
                    if !node.flags.get().is_cancelled() {
                        return;
                    }
                    if !cancelled {
                        // It was cancelled while it ran, and has not had a round to notice.
                        continue;
                    }
                    if self.goes_on(node) {
                        return;
                    }
                    self.exit = Some(self.cancelled(node));
                }
            }
            self.drop_body(body);
        }
    }

    /// Aborts the scope when its cleanup takes too long. The scope that was cancelled does this for all
    /// below. Returns whether it did.
    fn keep_time(&mut self, node: &NodeRef, cx: &mut Context<'_>) -> bool {
        let Some(grace) = self.grace.poll(cx) else {
            return false;
        };
        crate::trace::cleanup_takes_too_long(node, grace);
        node.abort(Reason::Timeout);
        true
    }

    /// After a round that left the body pending: whether to wait for the next one.
    fn goes_on(&mut self, node: &NodeRef) -> bool {
        match judge(node, &self.cleanups) {
            Verdict::Busy => {
                self.rounds = 0;
                true
            }
            // What has not been polled yet may know better.
            Verdict::Again | Verdict::Quiet if node.is_being_woken() => {
                // Its thread may wait for this CPU.
                crate::primitives::yield_now();
                node.wake();
                true
            }
            Verdict::Again => {
                self.rounds += 1;
                if self.rounds < ROUNDS {
                    node.wake();
                    return true;
                }
                cleanup::count_forced();
                false
            }
            // Something that has not been told yet that it is cancelled did nothing in this round.
            Verdict::Quiet => node.overtake_cancel(),
        }
    }

    #[expect(clippy::unused_self, reason = "it names the type of the exit")]
    fn cancelled(&self, node: &NodeRef) -> Exit<T> {
        Exit::Cancelled(node.reason().unwrap_or(Reason::Explicit))
    }

    fn drop_body<B: Body<Output = T>>(&mut self, body: &mut B) {
        if let Err(payload) = body.drop() {
            self.panicked(payload);
        }
    }

    /// A panic replaces a cancellation or a value; the first one is kept.
    fn panicked(&mut self, payload: Box<dyn std::any::Any + Send>) {
        if matches!(self.exit, Some(Exit::Panicked(_))) {
            crate::panics::report("cleanup", payload);
        } else {
            self.exit = Some(Exit::Panicked(payload));
        }
    }

    /// Drops a body that is done.
    pub(crate) fn end_body<B: Body<Output = T>>(&mut self, body: &mut B, exit: Exit<T>) {
        self.exit = Some(exit);
        self.drop_body(body);
    }

    fn poll_cleanups(&mut self, node: &NodeRef, cx: &mut Context<'_>) {
        loop {
            for boxed in node.take_adopted() {
                self.cleanups.push(Cleanup::boxed(boxed));
            }
            if !self.cleanups.is_empty() && node.is_aborted() {
                // Each finds that out by itself, and counts.
                self.cleanups.clear();
            }
            let mut at = 0;
            while let Some(cleanup) = self.cleanups.get_mut(at) {
                let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(cleanup).poll(cx)));
                match polled {
                    Ok(Poll::Pending) => {
                        at += 1;
                        continue;
                    }
                    Ok(Poll::Ready(())) => {}
                    Err(payload) => self.panicked(payload),
                }
                drop(self.cleanups.swap_remove(at));
            }
            if !node.flags.get().has_adopted() {
                return;
            }
        }
    }
}
