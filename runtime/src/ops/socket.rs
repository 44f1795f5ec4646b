//! One-shot operations on sockets.

#![expect(unsafe_code, reason = "the contract of `Operation`")]

use std::io;
use std::net::Shutdown as How;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};

use io_uring::{opcode, squeue};
use socket2::{SockAddr, SockRef};

use crate::driver::completion::Completion;
use crate::driver::op::{Op, Operation};
use crate::ops::buf::entry_len;
use crate::ops::fd::adopt;
use crate::ops::{BufResult, IoBuf, IoBufMut, SharedFd};

/// Waits until the descriptor is ready; see [`poll_ready`].
#[derive(Debug)]
pub struct PollReady {
    fd: SharedFd,
    events: u32,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and no memory.
unsafe impl Operation for PollReady {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(self.fd.entry(), self.events).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result()
    }
}

/// Waits until one of `events` (`POLLIN`, `POLLOUT`, ... of `poll(2)`) holds for `fd`, or an error, and
/// yields those that do.
///
/// # Cancel safety
///
/// Dropping it loses nothing.
pub fn poll_ready(fd: &SharedFd, events: u32) -> Op<PollReady> {
    Op::new(PollReady {
        fd: fd.clone(),
        events,
    })
}

/// Accepts one connection; see [`accept`].
#[derive(Debug)]
pub struct Accept {
    fd: SharedFd,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and no memory.
unsafe impl Operation for Accept {
    type Output = io::Result<OwnedFd>;

    fn prepare(&mut self) -> squeue::Entry {
        opcode::Accept::new(self.fd.entry(), std::ptr::null_mut(), std::ptr::null_mut())
            .flags(libc::SOCK_CLOEXEC)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result().map(adopt)
    }
}

/// Accepts one connection of the listening socket `fd` (`accept4(2)` with `SOCK_CLOEXEC`).
///
/// # Cancel safety
///
/// A connection that is accepted while the future is dropped is closed. An [`Acceptor`](super::Acceptor)
/// keeps it for the next call.
pub fn accept(fd: &SharedFd) -> Op<Accept> {
    Op::new(Accept { fd: fd.clone() })
}

/// Connects a socket; see [`connect`].
#[derive(Debug)]
pub struct Connect {
    fd: SharedFd,
    address: Box<SockAddr>,
    /// The connection attempt is under way in the socket; what is left is to wait for its end.
    started: bool,
}

// SAFETY: the address is boxed, owned by `self` and not changed; the descriptor stays open with `self`.
unsafe impl Operation for Connect {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> squeue::Entry {
        if self.started {
            return opcode::PollAdd::new(self.fd.entry(), libc::POLLOUT as u32).build();
        }
        opcode::Connect::new(
            self.fd.entry(),
            self.address.as_ptr().cast(),
            self.address.len(),
        )
        .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result()?;
        if self.started {
            return SockRef::from(&self.fd).take_error()?.map_or(Ok(()), Err);
        }
        Ok(())
    }

    fn was_cancelled(&self, completion: Completion) -> bool {
        // A connect that blocks on a thread of the kernel's is interrupted instead.
        completion.is_cancelled() || completion.raw_result() == -libc::EINTR
    }

    fn restart(&mut self) {
        // A TCP socket went on connecting when the operation was taken off its ring. A Unix socket
        // either connects at once or does not begin.
        self.started = self.address.is_ipv4() || self.address.is_ipv6();
    }
}

/// Connects the socket `fd` to `address` (`connect(2)`).
pub fn connect(fd: &SharedFd, address: SockAddr) -> Op<Connect> {
    Op::new(Connect {
        fd: fd.clone(),
        address: Box::new(address),
        started: false,
    })
}

/// Receives into an owned buffer; see [`recv`].
#[derive(Debug)]
pub struct Recv<B> {
    fd: SharedFd,
    buffer: B,
    flags: i32,
}

// SAFETY: `IoBufMut` promises stable memory that the operation owns; the descriptor stays open.
unsafe impl<B: IoBufMut> Operation for Recv<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let length = entry_len(self.buffer.capacity());
        opcode::Recv::new(self.fd.entry(), self.buffer.stable_mut_ptr(), length)
            .flags(self.flags)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let received = completion.result().map(|count| count as usize);
        if let Ok(count) = received {
            // SAFETY: the kernel wrote the first `count` bytes.
            unsafe { self.buffer.set_init(count) };
        }
        (received, self.buffer)
    }
}

/// Receives into the whole of `buffer`, from its start (`recv(2)` with `flags`).
///
/// # Cancel safety
///
/// Data received by an operation that is dropped in flight may be lost; [`Receiver`](super::Receiver)
/// is for streams.
pub fn recv<B: IoBufMut>(fd: &SharedFd, buffer: B, flags: i32) -> Op<Recv<B>> {
    Op::new(Recv {
        fd: fd.clone(),
        buffer,
        flags,
    })
}

/// Sends an owned buffer; see [`send`].
#[derive(Debug)]
pub struct Send<B> {
    fd: SharedFd,
    buffer: B,
    start: usize,
    flags: i32,
}

/// The part of a buffer from `start` on, as an entry takes it.
fn rest<B: IoBuf>(buffer: &B, start: usize) -> (*const u8, u32) {
    let length = buffer.init_len();
    assert!(start <= length, "a transfer starts inside its buffer");
    // SAFETY: `start` is inside the initialised bytes.
    let pointer = unsafe { buffer.stable_ptr().add(start) };
    (pointer, entry_len(length - start))
}

// SAFETY: `IoBuf` promises stable memory that the operation owns; the descriptor stays open.
unsafe impl<B: IoBuf> Operation for Send<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let (pointer, length) = rest(&self.buffer, self.start);
        opcode::Send::new(self.fd.entry(), pointer, length)
            .flags(self.flags | libc::MSG_NOSIGNAL)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result().map(|count| count as usize), self.buffer)
    }
}

/// Sends `buffer` from `start` on (`send(2)` with `flags`; `MSG_WAITALL` sends all of it). Yields how
/// much was sent.
///
/// # Panics
///
/// When polled with `start` beyond the buffer's end.
pub fn send<B: IoBuf>(fd: &SharedFd, buffer: B, start: usize, flags: i32) -> Op<Send<B>> {
    Op::new(Send {
        fd: fd.clone(),
        buffer,
        start,
        flags,
    })
}

/// Sends an owned buffer without copying it; see [`send_zero_copy`].
#[derive(Debug)]
pub struct SendZeroCopy<B> {
    fd: SharedFd,
    buffer: B,
    start: usize,
    /// What the first completion said; the second only releases the buffer.
    sent: AtomicI32,
}

// SAFETY: as for `Send`; the buffer is released by the last completion, the notification.
unsafe impl<B: IoBuf> Operation for SendZeroCopy<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let (pointer, length) = rest(&self.buffer, self.start);
        opcode::SendZc::new(self.fd.entry(), pointer, length)
            .flags(libc::MSG_NOSIGNAL)
            .build()
    }

    fn was_cancelled(&self, completion: Completion) -> bool {
        if completion.is_notification() {
            return self.sent.load(Ordering::Acquire) == -libc::ECANCELED;
        }
        completion.is_cancelled()
    }

    fn more(&self, completion: Completion) {
        self.sent.store(completion.raw_result(), Ordering::Release);
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let result = if completion.is_notification() {
            let sent = self.sent.load(Ordering::Acquire);
            u32::try_from(sent).map_err(|_| io::Error::from_raw_os_error(-sent))
        } else {
            completion.result()
        };
        (result.map(|count| count as usize), self.buffer)
    }
}

/// Sends `buffer` from `start` on without copying it into the kernel. It completes when the network has
/// released the buffer, which takes a round trip on a real network; on loopback the kernel copies all
/// the same and only costs more. For large buffers on real links.
///
/// # Panics
///
/// When polled with `start` beyond the buffer's end.
pub fn send_zero_copy<B: IoBuf>(fd: &SharedFd, buffer: B, start: usize) -> Op<SendZeroCopy<B>> {
    Op::new(SendZeroCopy {
        fd: fd.clone(),
        buffer,
        start,
        sent: AtomicI32::new(0),
    })
}

/// Shuts a connection down; see [`shutdown`].
#[derive(Debug)]
pub struct Shutdown {
    fd: SharedFd,
    how: How,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and no memory.
unsafe impl Operation for Shutdown {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> squeue::Entry {
        let how = match self.how {
            How::Read => libc::SHUT_RD,
            How::Write => libc::SHUT_WR,
            How::Both => libc::SHUT_RDWR,
        };
        opcode::Shutdown::new(self.fd.entry(), how).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result().map(drop)
    }
}

/// Shuts one or both directions of a connection down (`shutdown(2)`). The kernel runs it on a thread of
/// its own; the plain system call does not block either and is cheaper.
pub fn shutdown(fd: &SharedFd, how: How) -> Op<Shutdown> {
    Op::new(Shutdown {
        fd: fd.clone(),
        how,
    })
}
