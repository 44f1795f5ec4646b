//! The two halves of a connection.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use heist_runtime::ops::{BufResult, IoBuf};
use heist_runtime::scope::leaf_fn;

use super::io::{self as transfer, Reader, RecvBuf, Writer};
use super::stream::TcpStream;
use crate::io::{AsyncWriteExt, ReadExact, read_through, write_through};

/// The reading half of a [`TcpStream`], from [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    reader: Reader,
}

/// The writing half of a [`TcpStream`], from [`TcpStream::into_split`]. Dropping it ends the direction, as
/// in tokio.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    writer: Writer,
    ends_on_drop: bool,
}

/// The halves given to [`OwnedReadHalf::reunite`] belong to different connections; here they are back.
#[derive(Debug)]
pub struct ReuniteError(pub Box<OwnedReadHalf>, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different connections")
    }
}

impl std::error::Error for ReuniteError {}

impl OwnedReadHalf {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// As [`TcpStream::recv`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + Send {
        leaf_fn(|cx| self.poll_recv(cx))
    }

    /// As [`TcpStream::poll_recv`].
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.reader.poll_recv(cx)
    }

    /// As [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| self.poll_read(cx, into))
    }

    /// As [`TcpStream::poll_read`].
    #[track_caller]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.poll_read(cx, into)
    }

    /// As [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn read_exact<'a>(
        &'a mut self,
        into: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send {
        let mut reading = ReadExact::new(self, into);
        leaf_fn(move |cx| reading.poll(cx).map_ok(drop))
    }

    /// Puts the halves of one connection together again.
    ///
    /// # Errors
    ///
    /// The halves, when they belong to different connections.
    pub fn reunite(self, mut other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if self.reader.fd().as_raw_fd() != other.writer.fd().as_raw_fd() {
            return Err(ReuniteError(Box::new(self), other));
        }
        other.ends_on_drop = false;
        Ok(TcpStream::from_reader(self.reader))
    }
}

impl OwnedWriteHalf {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer,
            ends_on_drop: true,
        }
    }

    /// As [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send {
        AsyncWriteExt::write(self, bytes)
    }

    /// As [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn write_vectored(
        &mut self,
        parts: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send {
        AsyncWriteExt::write_vectored(self, parts)
    }

    /// As [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn write_all<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send {
        AsyncWriteExt::write_all(self, bytes)
    }

    /// As [`TcpStream::write_all_owned`].
    pub async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
        self.writer.write_all_owned(buffer).await
    }

    /// Drops the half without ending the direction.
    pub fn forget(mut self) {
        self.ends_on_drop = false;
    }
}

read_through!(OwnedReadHalf, reader);
write_through!(OwnedWriteHalf, writer);

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.ends_on_drop {
            // The connection may be gone already, which is as good.
            drop(transfer::shutdown(self.writer.fd(), Shutdown::Write));
        }
    }
}
