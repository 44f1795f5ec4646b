//! Operations on descriptors: the low-level layer that sockets and files are built on.
//!
//! Every operation owns what the kernel works on until the kernel is done: the descriptor by a
//! [`SharedFd`], memory by an owned buffer ([`IoBuf`], [`IoBufMut`]) or one of the runtime's ([`Buf`]).
//! So none of it needs `unsafe` to use, and dropping a future frees nothing too early.
//!
//! - [`SharedFd`], [`IoBuf`], [`IoBufMut`], [`BufResult`]: what operations own; [`Slice`]: a part of a buffer;
//!   [`AlignedBuf`]: one for direct I/O
//! - [`Receiver`]: a multishot receive into the runtime's buffers; [`Sender`]: sends in the background;
//!   [`Acceptor`]: a multishot accept
//! - [`socket()`], [`bind`], [`listen`]: setting a socket up; [`accept`]: one connection
//! - [`connect`], [`recv`], [`send`], [`send_zero_copy`], [`recv_msg`], [`send_msg`], [`shutdown`],
//!   [`poll_ready`]: sockets
//! - [`recv_now`], [`recv_from_now`], [`peer_credentials`]: system calls on sockets that do not wait
//! - [`send_segments_now`], [`recv_segments_now`]: several datagrams in one system call
//! - [`open`], [`read_at`], [`write_at`], [`fsync`], [`statx`], [`close`]: files; [`WriteBehind`]:
//!   writes in the background
//! - [`Op`], [`Operation`]: one operation as a future, and how to add another
//!
//! # Cancel safety
//!
//! [`Receiver`], [`Sender`], [`Acceptor`] and [`poll_ready`] lose nothing when a future is dropped. The one-shot
//! operations move data: one that is dropped in flight is cancelled, and whether it took effect before
//! that is not told. To learn it, call [`Op::request_cancel`] and await the operation to its end.

mod fd;
mod buf;
mod slice;
mod aligned;
mod receiver;
mod flight;
mod sender;
mod acceptor;
mod socket;
mod message;
mod now;
mod segments;
mod file;
mod behind;

pub use crate::driver::buffers::Buf;
pub use crate::driver::completion::Completion;
pub use crate::driver::op::{Op, Operation};
pub use acceptor::Acceptor;
pub use aligned::AlignedBuf;
pub use behind::WriteBehind;
pub use buf::{BufResult, IoBuf, IoBufMut};
pub use fd::SharedFd;
pub use file::{
    Close, Fsync, Open, OpenOptions, ReadAt, Statx, WriteAt, close, fsync, open, read_at, statx,
    write_at,
};
pub use message::{RecvMsg, SendMsg, recv_msg, send_msg};
pub use now::{Credentials, bind, listen, peer_credentials, recv_from_now, recv_now, socket};
pub use receiver::Receiver;
pub use segments::{
    ReceivedSegments, has_segmentation, recv_segments_now, send_segments_now, set_gro,
};
pub use sender::Sender;
pub use slice::Slice;
pub use socket::{
    Accept, Connect, PollReady, Recv, Send, SendZeroCopy, Shutdown, accept, connect, poll_ready,
    recv, send, send_zero_copy, shutdown,
};
pub use socket2::{Domain, Protocol, SockAddr, Type};
