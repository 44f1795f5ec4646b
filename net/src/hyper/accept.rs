//! The loop that accepts, until it is told to end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::time::Instant;
use heist_sync::group::TaskGroup;
use heist_sync::time::sleep;
use heist_sync::{OwnedSemaphorePermit, Semaphore};

use super::executor::Contained;
use super::listener::Listener;
use super::metrics::{Opened, ServerMetrics};

/// How long accepting pauses after an error; twice as long after the next one in a row, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(320)];
/// How often one looks for connections that had come before the end, after the last that was found, and how long the
/// kernel has in between to hand them over.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
/// How long that may take while more keep coming: enough for a full queue of the kernel's.
const ALL_LOOKS: Duration = Duration::from_millis(250);

/// Where connections come from, and how many may be open.
pub(super) struct Source<L> {
    pub(super) listener: L,
    pub(super) permits: Option<Arc<Semaphore>>,
    pub(super) metrics: ServerMetrics,
}

/// A signal that may have come.
pub(super) struct Signal<F> {
    future: Pin<Box<F>>,
    has_come: bool,
}

impl<F: Future<Output = ()>> Signal<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            has_come: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.has_come = self.has_come || self.future.as_mut().poll(cx).is_ready();
        self.has_come
    }

    /// Waits for `future` until the signal comes, which is looked at first.
    async fn or<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.poll(cx) {
            true => Poll::Ready(None),
            false => future.as_mut().poll(cx).map(Some),
        })
        .await
    }
}

/// A connection, and what it is until it is closed.
pub(super) type Accepted<L> = (<L as Listener>::Io, <L as Listener>::Addr, Opened);

impl<L: Listener> Source<L> {
    /// Hands connections to `serve` until the signal comes, or the listener is none.
    pub(super) async fn accept_until<F: Future<Output = ()>>(
        &mut self,
        signal: &mut Signal<F>,
        serve: &mut impl FnMut(Accepted<L>),
    ) -> io::Result<()> {
        let mut pause = PAUSES[0];
        loop {
            let next = async {
                let permit = match &self.permits {
                    Some(permits) => permits.clone().acquire_owned().await.ok(),
                    None => None,
                };
                (self.listener.accept().await, permit)
            };
            let Some((accepted, permit)) = signal.or(next).await else {
                return Ok(());
            };
            match accepted {
                Ok((stream, remote)) => {
                    pause = PAUSES[0];
                    let opened = self.metrics.open(&remote, permit);
                    serve((stream, remote, opened));
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) if is_for_good(&error) => return Err(error),
                Err(_) => {
                    self.metrics.accept_failed();
                    if signal.or(sleep(pause)).await.is_none() {
                        return Ok(());
                    }
                    pause = (pause * 2).min(PAUSES[1]);
                }
            }
        }
    }

    /// Hands over those that had come before the signal and were not accepted yet: closing the listener would reset them.
    /// What comes meanwhile it cannot tell from them, so it does not go on for as long as more come.
    pub(super) async fn accept_rest(&mut self, serve: &mut impl FnMut(Accepted<L>)) {
        let began = Instant::now();
        let mut looks = 0;
        while looks < LOOKS && began.elapsed() < ALL_LOOKS {
            let Some(permit) = self.permit_now() else {
                return;
            };
            let accepted = {
                let mut accept = pin!(self.listener.accept());
                poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await
            };
            match accepted {
                Poll::Ready(Ok((stream, remote))) => {
                    looks = 0;
                    let opened = self.metrics.open(&remote, permit);
                    serve((stream, remote, opened));
                }
                Poll::Ready(Err(error)) if is_of_connection(&error) => {}
                Poll::Ready(Err(_)) => return,
                Poll::Pending => {
                    looks += 1;
                    sleep(BETWEEN_LOOKS).await;
                }
            }
        }
    }

    /// A permit, if there is one; or that none is needed.
    fn permit_now(&self) -> Option<Option<OwnedSemaphorePermit>> {
        match &self.permits {
            None => Some(None),
            Some(permits) => permits.clone().try_acquire_owned().ok().map(Some),
        }
    }
}

/// Spawns the future of a connection. It is counted if it does not come to its end.
pub(super) fn spawn(
    group: &TaskGroup<Infallible>,
    metrics: &ServerMetrics,
    connection: impl Future<Output = ()> + Send + 'static,
) {
    let mut unfinished = Unfinished(Some(metrics.clone()));
    drop(group.spawn(async move {
        let end = Contained::new(connection).await;
        unfinished.finish();
        end
    }));
}

/// A connection that was not served to its end.
struct Unfinished(Option<ServerMetrics>);

impl Unfinished {
    fn finish(&mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            metrics.cancelled();
        }
    }
}

/// Whether the error is that of one connection, which has gone before it was accepted ([accept(2)], "Error handling").
///
/// [accept(2)]: https://man7.org/linux/man-pages/man2/accept.2.html
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    const EPROTO: i32 = 71;
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) || error.raw_os_error() == Some(EPROTO)
}

/// Whether the listener is none, and no pause changes that.
fn is_for_good(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    const EINVAL: i32 = 22;
    const ENOTSOCK: i32 = 88;
    matches!(error.raw_os_error(), Some(EBADF | EINVAL | ENOTSOCK))
}
