//! Sending on a stream socket: small writes through the ring, in the background.
//!
//! A system call of its own for each small message is what an echo spends most of its time in. The entries
//! of many connections go to the kernel together, with the call that a worker makes anyway, so what is small is
//! copied, queued, and sent with the worker's next turn. One send of a socket is in flight at a time, which
//! keeps the order. What is large is sent at once, from where it lies.

#![expect(unsafe_code, reason = "the contract of an operation")]

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use io_uring::{opcode, squeue};
use socket2::SockRef;

use crate::context;
use crate::driver::completion::Completion;
use crate::driver::op::{Background, Op};
use crate::handle::Handle;
use crate::ops::buf::entry_len;
use crate::ops::flight::Flight;
use crate::ops::socket::{PollReady, poll_ready, send};
use crate::ops::{IoBuf, SharedFd};
use crate::scope::Leaf;

/// Bytes up to which a write is copied and sent in the background: copying more costs about what it saves.
const SMALL: usize = 4096;
/// How long a peer may take no bytes before what a dropped sender has left is given up.
const LINGER: Duration = Duration::from_secs(30);
const SEND_NOW: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// A send in the kernel's hands that no future waits for.
#[derive(Debug)]
struct Sending<B> {
    fd: SharedFd,
    /// Taken out only to be sent in another way.
    bytes: Option<B>,
    flight: Option<Arc<Flight>>,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and the buffer's memory, which is `self`'s, stays
// where it is, and is written by nobody while the operation is in flight.
unsafe impl<B: IoBuf> Background for Sending<B> {
    fn prepare(&mut self) -> squeue::Entry {
        let bytes = self.bytes.as_ref().expect("they are taken out at the end");
        let length = entry_len(bytes.init_len());
        opcode::Send::new(self.fd.entry(), bytes.stable_ptr(), length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
    }

    fn complete(mut self, completion: Completion) {
        let length = self.bytes.as_ref().map_or(0, IoBuf::init_len);
        match completion.raw_result() {
            sent if usize::try_from(sent).is_ok_and(|sent| sent == length) => {
                self.end(Ok(()));
            }
            // The runtime has cancelled it to drain its ring, or a signal has interrupted it.
            error if error == -libc::ECANCELED || error == -libc::EINTR => self.go_on(0),
            sent if sent > 0 => self.go_on(sent as usize),
            error => self.end(Err(-error)),
        }
    }
}

impl<B> Sending<B> {
    fn end(&mut self, result: Result<(), i32>) {
        if let Some(flight) = self.flight.take() {
            let close = || drop(SockRef::from(&self.fd).shutdown(Shutdown::Write));
            flight.end(result, close);
        }
    }
}

impl<B: IoBuf> Sending<B> {
    /// Has a task send the rest; in a runtime that ends, nothing does.
    #[cold]
    fn go_on(mut self, mut start: usize) {
        let (Some(handle), Some(mut bytes)) = (Handle::try_current(), self.bytes.take()) else {
            return;
        };
        let rest = async move {
            while start < bytes.init_len() {
                let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
                let (sent, back) = send(&self.fd, bytes, start, flags).await;
                bytes = back;
                match sent {
                    Ok(sent) => start += sent,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.end(Err(error.raw_os_error().unwrap_or(libc::EIO)));
                        return;
                    }
                }
            }
            self.end(Ok(()));
        };
        drop(handle.spawn(rest));
    }
}

impl<B> Drop for Sending<B> {
    /// The sender must not wait for what nobody does any more.
    fn drop(&mut self) {
        self.end(Err(libc::ECANCELED));
    }
}

/// Sends on a connected stream socket, in the order of the calls.
///
/// Up to 4 KiB are copied and sent in the background, with the next turn of the worker; more is sent before the
/// call returns. So a send has succeeded when its bytes are with the runtime, as one of `send(2)` has when
/// they are with the kernel, and its error may be the next call's. [`poll_flush`](Self::poll_flush) waits until
/// the kernel has everything.
///
/// What is on its way when the sender is dropped is still sent, unless the runtime ends or the peer takes nothing
/// for 30 s. The descriptor stays open until then.
///
/// # Cancel safety
///
/// A poll that is pending has sent nothing and will send nothing.
#[derive(Debug)]
pub struct Sender {
    fd: SharedFd,
    /// Made by the first send in the background.
    flight: Option<Arc<Flight>>,
    /// Waiting for room, after a send that was made at once. Boxed, as a sender is a part of every future that has
    /// the connection.
    waiting: Option<Box<Op<PollReady>>>,
}

impl Sender {
    /// A sender for the stream socket `fd`. With another one, or sends of the descriptor's own, there is no
    /// order between the two.
    #[must_use]
    pub fn new(fd: SharedFd) -> Self {
        Self {
            fd,
            flight: None,
            waiting: None,
        }
    }

    /// The socket.
    #[must_use]
    pub fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// Sends part of `bytes`, at least one unless it is empty, and yields how many.
    ///
    /// In a cancelled scope it is pending and sends nothing.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`, also of what was sent before; no SIGPIPE is raised.
    #[track_caller]
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_leaf(cx, |sender, cx| {
            let now = |socket: &SockRef<'_>| socket.send_with_flags(bytes, SEND_NOW);
            sender.poll_started(cx, bytes.len(), || bytes.to_vec(), now)
        })
    }

    /// As [`poll_send`](Self::poll_send), of the slices as if they were one.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_send_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_leaf(cx, |sender, cx| {
            let length = parts.iter().map(|part| part.len()).sum();
            let copy = || {
                let mut bytes = Vec::with_capacity(length);
                parts.iter().for_each(|part| bytes.extend_from_slice(part));
                bytes
            };
            let now = |socket: &SockRef<'_>| socket.send_vectored_with_flags(parts, SEND_NOW);
            sender.poll_started(cx, length, copy, now)
        })
    }

    /// Sends all of an owned buffer in the background, without a copy, when what was sent before is with the kernel.
    /// Takes it out of `buffer` then, and drops it once the kernel is done.
    ///
    /// Outside of the workers it leaves `buffer` as it is, to be sent by [`send`](super::send()).
    ///
    /// In a cancelled scope it is pending and sends nothing.
    ///
    /// # Errors
    ///
    /// Those of what was sent before; `buffer` has been left as it was.
    #[track_caller]
    pub fn poll_send_owned<B: IoBuf>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Option<B>,
    ) -> Poll<io::Result<()>> {
        self.poll_leaf(cx, |sender, cx| {
            ready!(sender.poll_idle(cx))?;
            sender.waiting = None;
            if context::is_worker()
                && let Some(bytes) = buffer.take_if(|bytes| bytes.init_len() > 0)
            {
                sender.send_in_background(bytes);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Sends what the socket has room for, without waiting and not in the background. Yields how many bytes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room, or what was sent before is still on its way; and those of `send(2)`, also of
    /// what was sent before.
    pub fn send_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_idle()?;
        SockRef::from(&self.fd).send_with_flags(bytes, SEND_NOW)
    }

    /// As [`send_now`](Self::send_now), of the slices as if they were one.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_vectored_now(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_idle()?;
        SockRef::from(&self.fd).send_vectored_with_flags(parts, SEND_NOW)
    }

    /// Says whether nothing is on its way.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when something is, and the error of what was sent before.
    pub fn check_idle(&mut self) -> io::Result<()> {
        if self.is_flying() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.take_error().map_or(Ok(()), Err)
    }

    /// Waits until [`send_now`](Self::send_now) has a chance: the kernel has what was sent before, and room or an error.
    ///
    /// # Errors
    ///
    /// Those of what was sent before.
    #[track_caller]
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_leaf(cx, |sender, cx| {
            ready!(sender.poll_idle(cx))?;
            let fd = &sender.fd;
            let room = || Box::new(poll_ready(fd, libc::POLLOUT as u32));
            let waiting = sender.waiting.get_or_insert_with(room);
            let outcome = ready!(Pin::new(waiting).poll(cx));
            sender.waiting = None;
            Poll::Ready(outcome.map(drop))
        })
    }

    /// Waits until the kernel has everything that was sent.
    ///
    /// # Errors
    ///
    /// Those of what was sent before.
    #[track_caller]
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_leaf(cx, Self::poll_idle)
    }

    /// The error of what was sent before, if that has ended with one; it is told once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.flight.as_ref().and_then(|flight| flight.take_error())
    }

    /// Ends one or both directions of the socket (`shutdown(2)`), the sending one behind what is on its way.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        let socket = SockRef::from(&self.fd);
        let is_flying = how != Shutdown::Read && self.is_flying();
        match &self.flight {
            Some(flight) if is_flying && flight.close_at_end() => match how {
                Shutdown::Both => socket.shutdown(Shutdown::Read),
                _ => Ok(()),
            },
            _ => socket.shutdown(how),
        }
    }

    /// Polls as a leaf does.
    #[track_caller]
    fn poll_leaf<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let leaf = Leaf::here();
        // At every poll, since nothing says whose wait it is.
        if leaf.start().is_pending() {
            // Dropped and not polled: the wait may outlive the future that began it, and must not keep a
            // scope waiting for the kernel's answer.
            self.waiting = None;
            return Poll::Pending;
        }
        match poll(self, cx) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    /// Whether something is still in flight, after the kernel has been given what is not with it yet.
    fn is_flying(&self) -> bool {
        let is_flying = || {
            let flight = self.flight.as_ref();
            flight.is_some_and(|flight| flight.is_flying())
        };
        is_flying() && {
            context::submit_now();
            is_flying()
        }
    }

    /// Waits until nothing is in flight.
    #[inline]
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.flight {
            Some(flight) if !flight.is_idle() => self.poll_over(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_flying = self.is_flying();
        let Some(flight) = &self.flight else {
            return Poll::Ready(Ok(()));
        };
        if is_flying && flight.watch(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(flight.take_error().map_or(Ok(()), Err))
    }

    fn poll_started(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        copy: impl FnOnce() -> Vec<u8>,
        mut now: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        if (1..=SMALL).contains(&length) && self.waiting.is_none() && context::is_worker() {
            self.send_in_background(copy());
            return Poll::Ready(Ok(length));
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                let ready = ready!(Pin::new(waiting).poll(cx));
                self.waiting = None;
                ready?;
            }
            match now(&SockRef::from(&self.fd)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some(Box::new(poll_ready(&self.fd, libc::POLLOUT as u32)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn send_in_background<B: IoBuf>(&mut self, bytes: B) {
        let flight = self.flight.get_or_insert_with(|| Arc::new(Flight::new()));
        flight.begin();
        let sending = Sending {
            fd: self.fd.clone(),
            bytes: Some(bytes),
            flight: Some(flight.clone()),
        };
        context::with_current_driver(|driver| driver.submit_background(sending));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.is_flying() {
            // The kernel gives the connection up when that passes without the peer having taken anything, as it
            // does for a socket that is closed. Other sockets do not know the option.
            drop(SockRef::from(&self.fd).set_tcp_user_timeout(Some(LINGER)));
        }
    }
}
