//! `recvmsg` and `sendmsg`: with addresses, for datagrams.

#![expect(unsafe_code, reason = "the contract of `Operation`")]

use std::mem::MaybeUninit;

use io_uring::{opcode, squeue};
use socket2::SockAddr;

use crate::driver::completion::Completion;
use crate::driver::op::{Op, Operation};
use crate::ops::buf::entry_len;
use crate::ops::{BufResult, IoBuf, IoBufMut, SharedFd};

/// What a message header points to, at an address that stays.
struct Parts {
    header: libc::msghdr,
    vector: libc::iovec,
    address: libc::sockaddr_storage,
}

impl Parts {
    fn new() -> Box<Self> {
        // SAFETY: all three are plain C structures for which zero is a valid value.
        unsafe { Box::<Self>::new(MaybeUninit::zeroed().assume_init()) }
    }

    fn set_vector(&mut self, pointer: *mut u8, length: usize) {
        self.vector = libc::iovec {
            iov_base: pointer.cast(),
            iov_len: entry_len(length) as usize,
        };
        self.header.msg_iov = &raw mut self.vector;
        self.header.msg_iovlen = 1;
    }

    fn set_address(&mut self, length: libc::socklen_t) {
        self.header.msg_name = (&raw mut self.address).cast();
        self.header.msg_namelen = length;
    }
}

/// Receives a message with its sender's address; see [`recv_msg`].
pub struct RecvMsg<B> {
    fd: SharedFd,
    buffer: B,
    parts: Box<Parts>,
}

/// Sends a message to an address; see [`send_msg`].
pub struct SendMsg<B> {
    fd: SharedFd,
    buffer: B,
    to: Option<SockAddr>,
    parts: Box<Parts>,
}

// SAFETY: the pointers in `parts` lead into the same box and into the buffer, both owned.
unsafe impl<B: Send> Send for RecvMsg<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Send for SendMsg<B> {}

impl<B> std::fmt::Debug for RecvMsg<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvMsg")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

impl<B> std::fmt::Debug for SendMsg<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendMsg")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

// SAFETY: header, vector and address are in a box that `self` owns; the buffer's memory is stable.
unsafe impl<B: IoBufMut> Operation for RecvMsg<B> {
    type Output = BufResult<(usize, SockAddr), B>;

    fn prepare(&mut self) -> squeue::Entry {
        self.parts
            .set_vector(self.buffer.stable_mut_ptr(), self.buffer.capacity());
        self.parts
            .set_address(size_of::<libc::sockaddr_storage>() as libc::socklen_t);
        opcode::RecvMsg::new(self.fd.entry(), &raw mut self.parts.header).build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let count = match completion.result() {
            Ok(count) => count as usize,
            Err(error) => return (Err(error), self.buffer),
        };
        // SAFETY: the kernel wrote the first `count` bytes.
        unsafe { self.buffer.set_init(count) };
        let length = self.parts.header.msg_namelen;
        let mut storage = socket2::SockAddrStorage::zeroed();
        // SAFETY: the storage is at least as large as any address and any bytes are valid in it.
        let view: &mut libc::sockaddr_storage = unsafe { storage.view_as() };
        *view = self.parts.address;
        // SAFETY: the kernel wrote an address of this length.
        let from = unsafe { SockAddr::new(storage, length) };
        (Ok((count, from)), self.buffer)
    }
}

// SAFETY: as for `RecvMsg`; the address is copied into the box.
unsafe impl<B: IoBuf> Operation for SendMsg<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> squeue::Entry {
        let pointer = self.buffer.stable_ptr().cast_mut();
        self.parts.set_vector(pointer, self.buffer.init_len());
        if let Some(to) = &self.to {
            let from = to.as_ptr().cast::<u8>();
            let place = (&raw mut self.parts.address).cast::<u8>();
            // SAFETY: an address is never longer than the storage it is copied to.
            unsafe { std::ptr::copy_nonoverlapping(from, place, to.len() as usize) };
            self.parts.set_address(to.len());
        }
        opcode::SendMsg::new(self.fd.entry(), &raw const self.parts.header)
            .flags(libc::MSG_NOSIGNAL as u32)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result().map(|count| count as usize), self.buffer)
    }
}

/// Receives one message into `buffer`, with the address it came from (`recvmsg(2)`).
pub fn recv_msg<B: IoBufMut>(fd: &SharedFd, buffer: B) -> Op<RecvMsg<B>> {
    Op::new(RecvMsg {
        fd: fd.clone(),
        buffer,
        parts: Parts::new(),
    })
}

/// Sends `buffer` as one message, to `to` or the connected peer (`sendmsg(2)`).
pub fn send_msg<B: IoBuf>(fd: &SharedFd, buffer: B, to: Option<SockAddr>) -> Op<SendMsg<B>> {
    Op::new(SendMsg {
        fd: fd.clone(),
        buffer,
        to,
        parts: Parts::new(),
    })
}
