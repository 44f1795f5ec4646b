//! The methods of buffered readers, and what splits them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_runtime::scope::leaf_fn;
use heist_sync::stream::Stream;

use super::AsyncBufRead;
use super::read::not_utf8;

/// The methods of everything that is [`AsyncBufRead`], in tokio's names.
///
/// None limits how long a line may be; for peers that are not trusted there is
/// [`LinesCodec`](super::codec::LinesCodec).
pub trait AsyncBufReadExt: AsyncBufRead {
    /// Waits until there are bytes to look at, and shows them; none at the end.
    /// [`consume`](AsyncBufRead::consume) takes them.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    fn fill_buf(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        async move {
            leaf_fn(|cx| self.poll_fill_buf(cx).map_ok(drop)).await?;
            // Ready again: what was shown has not been taken.
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match self.poll_fill_buf(&mut cx) {
                Poll::Ready(shown) => shown,
                Poll::Pending => Ok(&[][..]),
            }
        }
    }

    /// Reads up to and including the first `delimiter`, or to the end, and appends that to `into`. Yields how many
    /// bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of the reader; `into` has what was read until then.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: what a dropped `read_until` has read is in `into`, and another call goes on from there.
    #[track_caller]
    fn read_until(
        &mut self,
        delimiter: u8,
        into: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        let before = into.len();
        leaf_fn(move |cx| {
            ready!(poll_until(self, cx, delimiter, into))?;
            Poll::Ready(Ok(into.len() - before))
        })
    }

    /// Reads up to and including the next line feed, or to the end, and appends that to `into`. Yields how many
    /// bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the line is not UTF-8; it is gone then, and `into` as it was. And those of the reader, with
    /// what was read put back.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing (tokio's does): what a dropped `read_line` has read is put back, and `into` is as it was.
    #[track_caller]
    fn read_line<'a>(
        &'a mut self,
        into: &'a mut String,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        let mut reading = ReadLine {
            reader: self,
            into,
            line: Vec::new(),
        };
        leaf_fn(move |cx| reading.poll(cx))
    }

    /// The lines, without their ends (`\n` or `\r\n`).
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines {
            reader: self,
            line: Vec::new(),
        }
    }

    /// The parts between delimiters.
    fn split(self, delimiter: u8) -> Split<Self>
    where
        Self: Sized,
    {
        Split {
            reader: self,
            delimiter,
            segment: Vec::new(),
        }
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufReadExt for R {}

/// Moves what comes before the delimiter, and the delimiter, to `into`. Ready there, and at the end.
fn poll_until<R: AsyncBufRead + ?Sized>(
    reader: &mut R,
    cx: &mut Context<'_>,
    delimiter: u8,
    into: &mut Vec<u8>,
) -> Poll<io::Result<()>> {
    loop {
        let shown = ready!(reader.poll_fill_buf(cx))?;
        let found = memchr::memchr(delimiter, shown);
        let count = found.map_or(shown.len(), |at| at + 1);
        into.extend_from_slice(&shown[..count]);
        reader.consume(count);
        if found.is_some() || count == 0 {
            return Poll::Ready(Ok(()));
        }
    }
}

/// See [`AsyncBufReadExt::read_line`].
struct ReadLine<'a, R: AsyncBufRead + ?Sized> {
    reader: &'a mut R,
    into: &'a mut String,
    /// What was read of the line.
    line: Vec<u8>,
}

impl<R: AsyncBufRead + ?Sized> ReadLine<'_, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(poll_until(self.reader, cx, b'\n', &mut self.line))?;
        let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| not_utf8())?;
        if self.into.is_empty() && self.into.capacity() < line.len() {
            *self.into = line;
            return Poll::Ready(Ok(self.into.len()));
        }
        self.into.push_str(&line);
        Poll::Ready(Ok(line.len()))
    }
}

impl<R: AsyncBufRead + ?Sized> Drop for ReadLine<'_, R> {
    fn drop(&mut self) {
        put_back(self.reader, &mut self.line);
    }
}

fn put_back<R: AsyncBufRead + ?Sized>(reader: &mut R, bytes: &mut Vec<u8>) {
    if !bytes.is_empty() {
        reader.unread(std::mem::take(bytes).into());
    }
}

/// Lines of a reader, from [`AsyncBufReadExt::lines`]: one after the other, and as a [`Stream`], of which the first
/// `None` is the end.
///
/// ```
/// use heist_net::io::{AsyncBufReadExt, AsyncWriteExt};
/// use heist_net::{TcpListener, TcpStream};
///
/// # heist_runtime::block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (mut server, _) = listener.accept().await?;
/// server.write_all(b"one\r\ntwo\nthree").await?;
/// drop(server);
///
/// let mut lines = client.lines();
/// assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("three"));
/// assert_eq!(lines.next_line().await?, None);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "it reads nothing unless it is asked for the next line"]
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead> Lines<R> {
    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a line that is not UTF-8; the next call reads the line behind it. And those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: half a line is kept for the next call.
    #[track_caller]
    pub fn next_line(&mut self) -> impl Future<Output = io::Result<Option<String>>> + Send {
        leaf_fn(|cx| self.poll_next_line(cx))
    }

    /// As [`next_line`](Self::next_line), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_next_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<String>>> {
        ready!(poll_until(&mut self.reader, cx, b'\n', &mut self.line))?;
        let mut line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Poll::Ready(Ok(None));
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        Poll::Ready(String::from_utf8(line).map(Some).map_err(|_| not_utf8()))
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader. Half a line may have been taken from it.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader, with half a line put back (tokio's loses it).
    pub fn into_inner(mut self) -> R {
        put_back(&mut self.reader, &mut self.line);
        self.reader
    }
}

impl<R: AsyncBufRead + Unpin> Stream for Lines<R> {
    type Item = io::Result<String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_line(cx).map(Result::transpose)
    }
}

/// Parts of a reader between delimiters, from [`AsyncBufReadExt::split`].
#[derive(Debug)]
#[must_use = "it reads nothing unless it is asked for the next segment"]
pub struct Split<R> {
    reader: R,
    delimiter: u8,
    segment: Vec<u8>,
}

impl<R: AsyncBufRead> Split<R> {
    /// The next part, without its delimiter; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: half a part is kept for the next call.
    #[track_caller]
    pub fn next_segment(&mut self) -> impl Future<Output = io::Result<Option<Vec<u8>>>> + Send {
        leaf_fn(|cx| self.poll_next_segment(cx))
    }

    /// As [`next_segment`](Self::next_segment), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_next_segment(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        let delimiter = self.delimiter;
        ready!(poll_until(
            &mut self.reader,
            cx,
            delimiter,
            &mut self.segment
        ))?;
        let mut segment = std::mem::take(&mut self.segment);
        if segment.is_empty() {
            return Poll::Ready(Ok(None));
        }
        segment.pop_if(|last| *last == delimiter);
        Poll::Ready(Ok(Some(segment)))
    }

    /// The reader, with half a part put back (tokio's has no such method).
    pub fn into_inner(mut self) -> R {
        put_back(&mut self.reader, &mut self.segment);
        self.reader
    }
}

impl<R: AsyncBufRead + Unpin> Stream for Split<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_segment(cx).map(Result::transpose)
    }
}
