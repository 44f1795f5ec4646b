//! How long nothing has come, or gone.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

/// How long nothing has happened while somebody waited. The timer is left alone when something does, and looks at the time
/// when it fires.
#[derive(Default)]
pub(super) struct Silence {
    since: Option<Instant>,
    timer: Option<Box<(Instant, Timer)>>,
}

impl Silence {
    /// Something has happened, or nobody waits any more.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Polls until it has lasted for as long as `patience`.
    pub(super) fn poll(&mut self, patience: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since.saturating_add(patience);
        loop {
            let timer =
                (self.timer).get_or_insert_with(|| Box::new((deadline, Timer::new(deadline))));
            let (at, timer) = &mut **timer;
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let is_over = *at >= deadline;
            self.timer = None;
            if is_over {
                return Poll::Ready(());
            }
        }
    }
}
