//! Receiving from a stream socket, without losing a byte when nobody waits.

#![expect(
    unsafe_code,
    reason = "one `recv` into fresh memory, and the multishot contract"
)]

use std::future::Future;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use io_uring::{opcode, squeue};

use crate::context;
use crate::driver::buffers::{Buf, GROUP, give_back};
use crate::driver::completion::Completion;
use crate::driver::multishot::{Multishot, MultishotOperation, Next};
use crate::driver::op::Op;
use crate::driver::remote::Remote;
use crate::ops::socket::{PollReady, poll_ready};
use crate::ops::{IoBufMut, SharedFd};
use crate::scope::{Leaf, cancel_requested, leaf_fn};

/// Receives between two looks at where the data arrives.
const FOLLOW_INTERVAL: u8 = 16;
/// Bytes of a receive into ordinary memory, when the runtime's buffers are exhausted.
const HEAP_RECEIVE: usize = 16 * 1024;
/// A multishot receive in the kernel's hands.
#[derive(Debug)]
struct Armed {
    fd: SharedFd,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and a buffer group of the ring.
unsafe impl MultishotOperation for Armed {
    const BACKLOG: usize = 8;

    fn prepare(&mut self) -> squeue::Entry {
        // Without POLL_FIRST: on a Unix socket that is at its end already, a receive that polls first
        // waits for ever.
        opcode::RecvMulti::new(self.fd.entry(), GROUP).build()
    }

    fn dispose(&self, completion: Completion, remote: &Arc<Remote>) {
        if let Some(id) = completion.buffer_id() {
            give_back(remote, id);
        }
    }
}

/// Receives from a connected stream socket into the runtime's buffers.
///
/// One multishot receive stays armed in the kernel from the first call until the receiver is dropped.
/// What arrives while nobody waits is kept here for the next call; when too much piles up the receive is
/// cancelled, so that the peer is held back by its socket as usual, and armed again on demand. An idle
/// connection holds no buffer.
///
/// The task that receives moves, now and then, to the worker on whose CPU the data arrives.
///
/// # Cancel safety
///
/// Dropping the future of [`recv`](Self::recv) loses nothing: the next call gets the same bytes. Dropping
/// the `Receiver` discards what has arrived, as closing a socket does.
#[derive(Debug)]
pub struct Receiver {
    fd: SharedFd,
    armed: Option<Multishot<Armed>>,
    /// Waiting for readiness instead, because no buffer can be had. Boxed, as that is rare, and a receiver is a part
    /// of every future that has the connection.
    waiting: Option<Box<Op<PollReady>>>,
    /// The receive was cancelled to move the task to this worker.
    moving_to: Option<u32>,
    until_follow: u8,
    at_end: bool,
}

impl Receiver {
    /// A receiver for the stream socket `fd`; there should be one only, or each gets a part.
    #[must_use]
    pub fn new(fd: SharedFd) -> Self {
        Self {
            fd,
            armed: None,
            waiting: None,
            moving_to: None,
            until_follow: FOLLOW_INTERVAL,
            at_end: false,
        }
    }

    /// The socket.
    #[must_use]
    pub fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// Waits for the next bytes; `None` when the peer has finished sending.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, such as a reset connection.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<Buf>>> + Send {
        leaf_fn(|cx| self.poll_recv(cx))
    }

    /// As [`recv`](Self::recv), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what has arrived stays here.
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        let leaf = Leaf::here();
        // At every poll, since nothing says whose wait it is.
        if leaf.start().is_pending() {
            // Dropped and not polled: the wait may outlive the future that began it, and must not keep a scope
            // waiting for the kernel's answer.
            self.waiting = None;
            return Poll::Pending;
        }
        match self.poll_started(cx) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    /// What has arrived already, in a cancelled scope as well. For a receiver at which nobody waits: if nothing has,
    /// no waker is called when it does.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing has arrived, and those of `recv(2)`.
    pub fn try_recv(&mut self) -> io::Result<Option<Buf>> {
        if cancel_requested() {
            self.waiting = None;
        }
        match self.poll_started(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(received) => received,
        }
    }

    /// As [`try_recv`](Self::try_recv), after a look at what the kernel has: what had arrived before the call is found,
    /// unless a receive is armed on the ring of another worker, which is about to tell.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_now(&mut self) -> io::Result<Option<Buf>> {
        if cancel_requested() {
            self.waiting = None;
        }
        let mut cx = Context::from_waker(Waker::noop());
        for look_again in [true, false] {
            if self.armed.is_none() {
                return self.receive_unarmed();
            }
            if let Poll::Ready(received) = self.poll_started(&mut cx) {
                return received;
            }
            if look_again {
                // What the kernel has received comes to light, and what has just been armed begins.
                context::submit_now();
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Receives what is there without the ring, since nothing is armed that might take bytes besides.
    fn receive_unarmed(&mut self) -> io::Result<Option<Buf>> {
        if self.at_end {
            return Ok(None);
        }
        let bytes = receive_now(&self.fd)?;
        self.at_end = bytes.is_empty();
        Ok((!self.at_end).then(|| Buf::from(bytes)))
    }

    /// Whether a receive is armed, which may take bytes from the socket at any time.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.armed.is_some()
    }

    /// Has the kernel let go of the socket: ends the receive that is armed, yields one after the other what that has
    /// taken, and then `None`. From then on nobody takes bytes from the socket, until the next call that receives.
    ///
    /// In a cancelled scope it is pending, and what has arrived stays here.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; the receive has ended then.
    #[track_caller]
    pub fn poll_disarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        let leaf = Leaf::here();
        // It waits for bytes, and takes none.
        self.waiting = None;
        ready!(leaf.start());
        let Some(armed) = &mut self.armed else {
            return Poll::Ready(Ok(None));
        };
        armed.cancel();
        let remote = armed.remote().clone();
        match armed.poll_next(cx) {
            Poll::Pending => leaf.pending(),
            Poll::Ready(Next::More(completion)) => Poll::Ready(self.read(completion, remote)),
            Poll::Ready(Next::Last(completion)) => {
                self.armed = None;
                self.moving_to = None;
                match -completion.raw_result() {
                    libc::ENOBUFS | libc::ECANCELED => Poll::Ready(Ok(None)),
                    _ => Poll::Ready(self.read(completion, remote)),
                }
            }
        }
    }

    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        loop {
            if self.at_end {
                return Poll::Ready(Ok(None));
            }
            if self.waiting.is_some()
                && let Some(outcome) = ready!(self.poll_waiting(cx))
            {
                return Poll::Ready(outcome);
            }
            let Some(armed) = &mut self.armed else {
                if self.arm(cx) {
                    return Poll::Pending;
                }
                continue;
            };
            let remote = armed.remote().clone();
            match ready!(armed.poll_next(cx)) {
                Next::More(completion) => {
                    self.follow(&remote);
                    return Poll::Ready(self.read(completion, remote));
                }
                Next::Last(completion) => {
                    self.armed = None;
                    if let Some(outcome) = self.end_of_shot(completion, remote, cx) {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Arms the receive on the current worker. Returns whether it is armed; otherwise readiness is
    /// awaited.
    fn arm(&mut self, cx: &Context<'_>) -> bool {
        match Multishot::arm(
            Armed {
                fd: self.fd.clone(),
            },
            cx,
        ) {
            Ok(armed) => {
                self.armed = Some(armed);
                true
            }
            Err(_) => {
                // Outside the workers: an operation finds its way to one, buffers do not.
                self.wait_instead();
                false
            }
        }
    }

    fn wait_instead(&mut self) {
        self.waiting = Some(Box::new(poll_ready(&self.fd, libc::POLLIN as u32)));
    }

    /// What the last completion of a multishot means; `None` to go on.
    fn end_of_shot(
        &mut self,
        completion: Completion,
        remote: Arc<Remote>,
        cx: &Context<'_>,
    ) -> Option<Poll<io::Result<Option<Buf>>>> {
        let moving_to = self.moving_to.take();
        match -completion.raw_result() {
            libc::ENOBUFS => {
                if remote.buffers().is_exhausted() {
                    self.wait_instead();
                }
                None
            }
            libc::ECANCELED => {
                let to = moving_to?;
                // The poll ends woken, which is when the worker sends the task on.
                context::migrate_current(to as usize);
                cx.waker().wake_by_ref();
                Some(Poll::Pending)
            }
            _ => Some(Poll::Ready(self.read(completion, remote))),
        }
    }

    /// The bytes of a completion, the end, or the error.
    fn read(&mut self, completion: Completion, remote: Arc<Remote>) -> io::Result<Option<Buf>> {
        let length = completion.result()?;
        match completion.buffer_id() {
            Some(id) if length > 0 => Ok(Some(Buf::provided(remote, id, length))),
            Some(id) => {
                give_back(&remote, id);
                self.at_end = true;
                Ok(None)
            }
            None => {
                self.at_end = true;
                Ok(None)
            }
        }
    }

    /// Looks whether the task should receive on another worker, and cancels the receive if so: it goes on
    /// from there. At home the question is, now and then, whether the data arrives on another's CPU;
    /// away from home, whether to stay.
    fn follow(&mut self, remote: &Arc<Remote>) {
        self.until_follow -= 1;
        let due = self.until_follow == 0;
        if due {
            self.until_follow = FOLLOW_INTERVAL;
        }
        if self.moving_to.is_some() || !(due || remote.is_stuck()) {
            return;
        }
        let target = if context::with_driver(remote, |_| ()).is_none() {
            context::should_stay(remote, due)
        } else if due {
            incoming_cpu(&self.fd).and_then(context::better_place)
        } else {
            None
        };
        if let (Some(target), Some(armed)) = (target, &mut self.armed) {
            self.moving_to = u32::try_from(target).ok();
            armed.cancel();
        }
    }

    /// Waits for readiness and receives into ordinary memory; `None` when there was nothing after all.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Option<Buf>>>> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(None);
        };
        let outcome = ready!(Pin::new(waiting).poll(cx));
        self.waiting = None;
        if let Err(error) = outcome {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(match receive_now(&self.fd) {
            Ok(bytes) if bytes.is_empty() => {
                self.at_end = true;
                Some(Ok(None))
            }
            Ok(bytes) => Some(Ok(Some(Buf::from(bytes)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// The CPU on which the socket's last packet was processed (`SO_INCOMING_CPU`, see `socket(7)`).
fn incoming_cpu(fd: &SharedFd) -> Option<i32> {
    let mut cpu: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers lead to an `int` and its length.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_INCOMING_CPU,
            (&raw mut cpu).cast(),
            &raw mut length,
        )
    };
    (result == 0 && cpu >= 0).then_some(cpu)
}

/// Receives what is there, into fresh memory.
fn receive_now(fd: &SharedFd) -> io::Result<Vec<u8>> {
    let mut buffer: Vec<u8> = Vec::with_capacity(HEAP_RECEIVE);
    let room = buffer.capacity();
    let place = buffer.stable_mut_ptr().cast();
    // SAFETY: `place` has room for `room` bytes.
    let count = unsafe { libc::recv(fd.as_raw_fd(), place, room, libc::MSG_DONTWAIT) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel wrote so many bytes.
    unsafe { buffer.set_init(count) };
    Ok(buffer)
}
