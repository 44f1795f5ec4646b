//! Traits and helpers for whatever bytes come out of and go into, in tokio's names.
//!
//! | what | here |
//! |---|---|
//! | the traits | [`AsyncRead`], [`AsyncBufRead`], [`AsyncWrite`], [`AsyncSeek`] |
//! | their methods | [`AsyncReadExt`], [`AsyncBufReadExt`], [`AsyncWriteExt`], [`AsyncSeekExt`] |
//! | buffers | [`BufReader`], [`BufWriter`], [`BufStream`] |
//! | parts | [`Lines`], [`Split`] |
//! | messages | [`codec`] |
//! | the program's own streams | [`stdin`], [`stdout`], [`stderr`] |
//! | descriptors of others | [`unix::AsyncFd`] |
//! | from one to another | [`copy`], [`copy_bidirectional`]; between sockets [`splice_bidirectional`] |
//! | for those who implement a reader | [`Unread`] |
//!
//! # Owned buffers
//!
//! A reader hands out the buffer in which the bytes arrived ([`poll_recv`](AsyncRead::poll_recv)): on a socket it is
//! the runtime's, filled by the kernel, so that an idle reader holds none and nothing is copied or zeroed. Bytes that
//! were taken and not used go back ([`unread`](AsyncRead::unread)); thus reading a line, or a buffer full, loses
//! nothing when it is dropped half-way. A writer takes borrowed slices, since sockets send at once and wait only for
//! room, and owned buffers ([`write_all_owned`](AsyncWrite::write_all_owned)), which the kernel sends from by itself. A
//! socket also sends them in the background ([`TcpStream::send`](crate::TcpStream::send)), those that were received as well.
//!
//! Readers and writers are `Send`, and so are the futures of their methods; no method is polled through a `Pin`, so
//! the traits work behind references and boxes.
//!
//! # Other libraries
//!
//! `Compat` puts the traits of `futures-io`, `tokio::io` or `hyper::rt` on a reader or writer, with the feature of that name.
//!
//! # Cancel safety
//!
//! No future of this module loses a byte that was read: what it took and had not delivered is back in the reader, or
//! in the `Vec`, `String` or `BufMut` that the caller gave. Of what was written, each says how the caller knows.

mod traits;
mod unread;
mod forward;
mod read;
mod write;
mod buf_reader;
mod buf_writer;
mod buf_stream;
mod buf_read;
mod seek;
mod copy;
mod splice;
pub mod codec;
mod stdio;
mod interest;
pub mod unix;
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
mod compat;

pub use buf_read::{AsyncBufReadExt, Lines, Split};
pub use buf_reader::BufReader;
pub use buf_stream::BufStream;
pub use buf_writer::BufWriter;
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
pub use compat::Compat;
pub use copy::{BothFailed, copy, copy_bidirectional};
pub use interest::{Interest, Ready};
pub use read::AsyncReadExt;
pub use seek::{AsyncSeek, AsyncSeekExt};
pub use splice::{Splice, splice_bidirectional};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub use traits::{AsyncBufRead, AsyncRead, AsyncWrite};
pub use unread::Unread;
pub use write::AsyncWriteExt;

pub(crate) use forward::{read_through, shown_unread, write_behind, write_through};
pub(crate) use read::ReadExact;
pub(crate) use splice::SpliceEnd;
