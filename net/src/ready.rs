//! System calls that are tried, and tried again when the ring says that the socket is ready.
//!
//! The ring only tells readiness here; the data moves in a call within a poll that returns it. So a future
//! that is dropped, whenever that is, has taken nothing from the socket and sent nothing.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{self, Op, PollReady, SharedFd};
use heist_runtime::scope::Leaf;
use rustix::net::{RecvFlags, SendFlags};

/// `POLLIN` of `poll(2)`.
pub(crate) const READABLE: u32 = 0x001;
/// `POLLOUT` of `poll(2)`.
pub(crate) const WRITABLE: u32 = 0x004;

/// How things are received: at once or not at all, and descriptors are not for programs that are started.
pub(crate) const RECV: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
/// How things are sent: at once or not at all, and without a signal.
pub(crate) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Waits until a call on a socket no longer says `WouldBlock`; see [`when`].
pub(crate) struct Ready<'a, F> {
    fd: &'a SharedFd,
    events: u32,
    call: F,
    leaf: Leaf,
    started: bool,
    wait: Option<Op<PollReady>>,
}

/// Repeats `call` whenever one of `events` holds for `fd`, until it does not ask to wait. In a cancelled
/// scope it is not begun.
#[track_caller]
pub(crate) fn when<T, F>(fd: &SharedFd, events: u32, call: F) -> Ready<'_, F>
where
    F: FnMut(&SharedFd) -> io::Result<T>,
{
    Ready {
        fd,
        events,
        call,
        leaf: Leaf::here(),
        started: false,
        wait: None,
    }
}

// The call is used where it lies and never pinned.
impl<F> Unpin for Ready<'_, F> {}

impl<T, F> Future for Ready<'_, F>
where
    F: FnMut(&SharedFd) -> io::Result<T>,
{
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let this = &mut *self;
        if !this.started {
            ready!(this.leaf.start());
            this.started = true;
        }
        loop {
            if let Some(wait) = &mut this.wait {
                let Poll::Ready(outcome) = Pin::new(wait).poll(cx) else {
                    return this.leaf.pending();
                };
                this.wait = None;
                outcome?;
            }
            match (this.call)(this.fd) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.wait = Some(ops::poll_ready(this.fd, this.events));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

/// Waits until one of `events` holds for `fd`.
#[track_caller]
pub(crate) fn until(
    fd: &SharedFd,
    events: u32,
) -> Ready<'_, impl FnMut(&SharedFd) -> io::Result<()>> {
    let mut asked = false;
    when(fd, events, move |_| {
        if std::mem::replace(&mut asked, true) {
            Ok(())
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    })
}

/// A wait that outlives the future that began it, for those who are polled by hand: it is there for the next poll.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Option<Op<PollReady>>);

impl Waiting {
    /// Nobody has waited.
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Repeats `call` whenever one of `events` holds for `fd`, until it does not ask to wait. In a cancelled scope it
    /// does nothing.
    #[track_caller]
    pub(crate) fn poll_when<T>(
        &mut self,
        cx: &mut Context<'_>,
        fd: &SharedFd,
        events: u32,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        ready!(Leaf::here().start());
        loop {
            if let Some(wait) = &mut self.0 {
                let waited = ready!(Pin::new(wait).poll(cx));
                self.0 = None;
                waited?;
            }
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.0 = Some(ops::poll_ready(fd, events));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

/// The descriptor for itself: this one, or a duplicate when an operation that ends still holds it.
pub(crate) fn into_owned(fd: SharedFd) -> io::Result<OwnedFd> {
    fd.try_unwrap()
        .or_else(|fd| fd.as_fd().try_clone_to_owned())
}
