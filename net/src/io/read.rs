//! The methods of readers.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use heist_runtime::scope::leaf_fn;

use super::AsyncRead;
use crate::RecvBuf;

/// The methods of everything that is [`AsyncRead`], in tokio's names.
///
/// ```
/// use heist_net::io::{AsyncReadExt, AsyncWriteExt};
/// use heist_net::{TcpListener, TcpStream};
///
/// # heist_runtime::block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let (mut read, _write) = TcpStream::connect(listener.local_addr()?).await?.into_split();
/// # let (mut server, _) = listener.accept().await?;
/// server.write_all(b"four, and the rest").await?;
/// drop(server);
///
/// let mut four = [0; 4];
/// read.read_exact(&mut four).await?;
/// let mut rest = Vec::new();
/// read.read_to_end(&mut rest).await?;
/// assert_eq!((&four, &rest[..]), (b"four", &b", and the rest"[..]));
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
pub trait AsyncReadExt: AsyncRead {
    /// Waits for the next bytes and lends the buffer they are in; `None` at the end. Not in tokio, and what costs the
    /// least: nothing is copied.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    #[track_caller]
    fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + Send {
        leaf_fn(|cx| self.poll_recv(cx))
    }

    /// Waits for bytes and copies them into `into`. Yields how many; 0 at the end, or when `into` is empty.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a dropped `read` has read nothing.
    #[track_caller]
    fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| self.poll_read(cx, into))
    }

    /// Waits for bytes and appends them to `into`, as many as it has room for. Yields how many; 0 at the end, or
    /// when there is no room. The memory need not be initialised.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a dropped `read_buf` has read nothing.
    #[track_caller]
    fn read_buf<B: BufMut + Send + ?Sized>(
        &mut self,
        into: &mut B,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| poll_read_buf(self, cx, into))
    }

    /// Fills `into` entirely, and yields its length.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the end comes first, and those of the reader. What was read until then is put back.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing (tokio's does): what a dropped `read_exact` has read is put back.
    #[track_caller]
    fn read_exact<'a>(
        &'a mut self,
        into: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send {
        let mut reading = ReadExact::new(self, into);
        leaf_fn(move |cx| reading.poll(cx))
    }

    /// Reads to the end and appends it all to `into`. Yields how much.
    ///
    /// # Errors
    ///
    /// Those of the reader; `into` has what was read until then.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: what a dropped `read_to_end` has read is in `into`, and another call goes on from there.
    #[track_caller]
    fn read_to_end(
        &mut self,
        into: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        let before = into.len();
        leaf_fn(move |cx| {
            while let Some(bytes) = ready!(self.poll_recv(cx))? {
                into.extend_from_slice(&bytes);
            }
            Poll::Ready(Ok(into.len() - before))
        })
    }

    /// Reads to the end and appends it all to `into`, which it has to be UTF-8 for. Yields how many bytes.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is not UTF-8: `into` has what comes before, and the rest is put back. And those of the
    /// reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing (tokio's does): what a dropped `read_to_string` has read is in `into`, and half a character is
    /// put back.
    #[track_caller]
    fn read_to_string<'a>(
        &'a mut self,
        into: &'a mut String,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        let mut reading = ReadToString {
            before: into.len(),
            reader: self,
            into,
            half: Vec::new(),
        };
        leaf_fn(move |cx| reading.poll(cx))
    }
}

impl<R: AsyncRead + ?Sized> AsyncReadExt for R {}

pub(crate) fn poll_read_buf<R: AsyncRead + ?Sized, B: BufMut + ?Sized>(
    reader: &mut R,
    cx: &mut Context<'_>,
    into: &mut B,
) -> Poll<io::Result<usize>> {
    let room = into.remaining_mut();
    if room == 0 {
        return Poll::Ready(Ok(0));
    }
    let Some(mut bytes) = ready!(reader.poll_recv(cx))? else {
        return Poll::Ready(Ok(0));
    };
    let count = bytes.len().min(room);
    into.put_slice(&bytes[..count]);
    if count < bytes.len() {
        bytes.advance(count);
        reader.unread(bytes);
    }
    Poll::Ready(Ok(count))
}

/// See [`AsyncReadExt::read_exact`].
pub(crate) struct ReadExact<'a, R: AsyncRead + ?Sized> {
    reader: &'a mut R,
    into: &'a mut [u8],
    filled: usize,
}

impl<'a, R: AsyncRead + ?Sized> ReadExact<'a, R> {
    pub(crate) fn new(reader: &'a mut R, into: &'a mut [u8]) -> Self {
        Self {
            reader,
            into,
            filled: 0,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.filled < self.into.len() {
            match ready!(self.reader.poll_read(cx, &mut self.into[self.filled..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                count => self.filled += count,
            }
        }
        // Delivered: nothing to put back.
        self.filled = 0;
        Poll::Ready(Ok(self.into.len()))
    }
}

impl<R: AsyncRead + ?Sized> Drop for ReadExact<'_, R> {
    fn drop(&mut self) {
        if self.filled > 0 {
            let read = self.into[..self.filled].to_vec();
            self.reader.unread(read.into());
        }
    }
}

/// See [`AsyncReadExt::read_to_string`].
struct ReadToString<'a, R: AsyncRead + ?Sized> {
    reader: &'a mut R,
    into: &'a mut String,
    before: usize,
    /// The beginning of a character whose rest has not come.
    half: Vec<u8>,
}

impl<R: AsyncRead + ?Sized> ReadToString<'_, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(bytes) = ready!(self.reader.poll_recv(cx))? {
            if self.half.is_empty() {
                push_valid(self.into, &bytes, &mut self.half)
            } else {
                let mut joined = std::mem::take(&mut self.half);
                joined.extend_from_slice(&bytes);
                push_valid(self.into, &joined, &mut self.half)
            }?;
        }
        if !self.half.is_empty() {
            return Poll::Ready(Err(not_utf8()));
        }
        Poll::Ready(Ok(self.into.len() - self.before))
    }
}

impl<R: AsyncRead + ?Sized> Drop for ReadToString<'_, R> {
    fn drop(&mut self) {
        if !self.half.is_empty() {
            self.reader.unread(std::mem::take(&mut self.half).into());
        }
    }
}

/// Appends the part of `bytes` that is UTF-8 to `into`, and what comes behind it to `rest`.
fn push_valid(into: &mut String, bytes: &[u8], rest: &mut Vec<u8>) -> io::Result<()> {
    let Some(chunk) = bytes.utf8_chunks().next() else {
        return Ok(());
    };
    into.push_str(chunk.valid());
    let behind = &bytes[chunk.valid().len()..];
    rest.extend_from_slice(behind);
    match std::str::from_utf8(behind) {
        Err(error) if error.error_len().is_some() => Err(not_utf8()),
        // Whole, or the beginning of a character.
        _ => Ok(()),
    }
}

pub(crate) fn not_utf8() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what was read is not UTF-8; read bytes instead",
    )
}
