//! How long a connection may wait for what.
//!
//! There is one timer a connection. It is left alone while requests come and go, and when it fires the clock looks at
//! what has happened meanwhile; so a request costs no timer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

use super::metrics::Account;
use super::preface::Protocol;
use super::settings::Patience;

/// How long a connection that was told to close may take for it.
const LINGER: Duration = Duration::from_secs(5);
/// The least time between two looks at a connection that is busy.
const LOOK: Duration = Duration::from_millis(10);

/// Which time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The head of a request has not come whole.
    Head,
    /// The client takes nothing.
    Write,
    /// Nothing was asked for.
    Idle,
    /// It was told to close, and has not.
    Closing,
}

pub(super) struct Clock {
    account: Arc<Account>,
    patience: Patience,
    protocol: Protocol,
    /// When the first bytes could have come.
    began: Instant,
    /// When the first bytes came of the head that is being read.
    head_since: Option<Instant>,
    closing_since: Option<Instant>,
    timer: Option<(Instant, Timer)>,
}

impl Clock {
    pub(super) fn new(
        account: Arc<Account>,
        patience: Patience,
        protocol: Protocol,
        began: Instant,
    ) -> Self {
        Self {
            account,
            patience,
            protocol,
            began,
            head_since: None,
            closing_since: None,
            timer: None,
        }
    }

    /// From now on the connection is closing.
    pub(super) fn close(&mut self) {
        self.closing_since.get_or_insert_with(Instant::now);
    }

    /// Polls until a time is over. After the connection itself, so that what has come is known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            let (deadline, what) = match self.deadline() {
                Some((deadline, what)) => (deadline, Some(what)),
                // Streams of HTTP/2 end without the connection's knowing.
                None => match self.patience.idle.or(self.closing_since.map(|_| LINGER)) {
                    Some(later) => match &self.timer {
                        Some((at, _)) => (*at, None),
                        None => (Instant::now().saturating_add(later.max(LOOK)), None),
                    },
                    None => return Poll::Pending,
                },
            };
            let is_soon_enough = (self.timer.as_ref()).is_some_and(|(at, _)| *at <= deadline);
            if !is_soon_enough {
                self.timer = Some((deadline, Timer::new(deadline)));
            }
            let Some((at, timer)) = &mut self.timer else {
                return Poll::Pending;
            };
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let reached = *at;
            self.timer = None;
            if let Some(what) = what
                && deadline <= reached
            {
                return Poll::Ready(what);
            }
        }
    }

    /// Which time will be over next, and when.
    fn deadline(&mut self) -> Option<(Instant, Expired)> {
        let in_time = |since: Instant, patience: Option<Duration>, what| {
            Some((since.saturating_add(patience?), what))
        };
        if let Some(since) = self.account.blocked_since() {
            return in_time(since, self.patience.write, Expired::Write);
        }
        let idle_since = self.account.idle_since()?.max(self.began);
        if let Some(since) = self.closing_since {
            return in_time(since.max(idle_since), Some(LINGER), Expired::Closing);
        }
        // What comes in between on a connection of HTTP/2 need not be a head.
        let is_http1 = self.protocol == Protocol::Http1;
        if is_http1 && self.account.requests() == 0 {
            return in_time(self.began, self.patience.head, Expired::Head);
        }
        if is_http1 && self.account.has_begun_head() {
            let since = match self.head_since {
                Some(since) if since >= idle_since => since,
                _ => *self.head_since.insert(Instant::now()),
            };
            return in_time(since, self.patience.head, Expired::Head);
        }
        in_time(idle_since, self.patience.idle, Expired::Idle)
    }
}
