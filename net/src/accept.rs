//! What accepting TCP and Unix connections has in common.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use heist_runtime::ops::{Acceptor, SharedFd};
use heist_runtime::scope::Leaf;
use heist_runtime::time::{Instant, Timer};

use crate::ready::into_owned;

/// Connections the kernel holds until they are accepted.
pub(crate) const BACKLOG: i32 = 1024;
/// After running out of descriptors, the next accept waits this long.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// The connections of a listening socket, for as many tasks as want some.
#[derive(Debug)]
pub(crate) struct Incoming {
    fd: SharedFd,
    accepting: Mutex<Accepting>,
    waiters: Arc<Waiters>,
}

/// What accepting changes.
#[derive(Debug)]
struct Accepting {
    acceptor: Acceptor,
    pause: Option<Timer>,
}

/// The tasks that wait for a connection: all are woken when one comes, and those that find none wait
/// again. As a rule there is one.
#[derive(Debug, Default)]
struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    fn list(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waker: &Waker) {
        let mut list = self.list();
        if !list.iter().any(|old| old.will_wake(waker)) {
            list.push(waker.clone());
        }
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Outside the lock: a waker may run anything.
        let woken = std::mem::take(&mut *self.list());
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Incoming {
    pub(crate) fn new(fd: SharedFd) -> Self {
        let acceptor = Acceptor::new(fd.clone());
        Self {
            fd,
            accepting: Mutex::new(Accepting {
                acceptor,
                pause: None,
            }),
            waiters: Arc::default(),
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// The listening socket, if no connection can be lost by that.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        let accepting = self.accepting.into_inner();
        let accepting = accepting.unwrap_or_else(PoisonError::into_inner);
        if accepting.acceptor.is_armed() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a listener that has accepted may have taken connections that would be lost; duplicate its descriptor instead \
                 (`as_fd().try_clone_to_owned()`)",
            ));
        }
        drop(accepting);
        into_owned(self.fd)
    }

    /// The next connection for which `open` has no error: one that was reset before anybody could look at it
    /// is as if it had never come.
    ///
    /// Pending in a cancelled scope. That is asked at every poll: the listener is shared, and knows nothing of the
    /// waits of each.
    #[track_caller]
    pub(crate) fn poll_accept<T>(
        &self,
        cx: &Context<'_>,
        open: impl FnMut(OwnedFd) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let leaf = Leaf::here();
        ready!(leaf.start());
        // Before the look: a connection that comes afterwards wakes this task.
        self.waiters.add(cx.waker());
        let waker = Waker::from(self.waiters.clone());
        let outcome = {
            let mut accepting = self
                .accepting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            accepting.poll(&mut Context::from_waker(&waker), open)
        };
        if outcome.is_pending() {
            return leaf.pending();
        }
        // Others may find more.
        waker.wake();
        outcome
    }
}

impl Accepting {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut open: impl FnMut(OwnedFd) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            match ready!(self.acceptor.poll_accept(cx)) {
                Ok(fd) => {
                    if let Ok(connection) = open(fd) {
                        return Poll::Ready(Ok(connection));
                    }
                }
                Err(error) => {
                    if is_exhaustion(&error) {
                        self.pause = Some(Timer::new(Instant::now() + EXHAUSTED_PAUSE));
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

/// Whether the process, the system or its memory is exhausted, so that trying again at once is useless.
fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(
        error.raw_os_error(),
        Some(ENOMEM | ENFILE | EMFILE | ENOBUFS)
    )
}
