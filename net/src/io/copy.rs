//! From a reader to a writer, in one direction or both.

use std::error::Error;
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use heist_runtime::scope::leaf_fn;

use super::{AsyncRead, AsyncWrite};
use crate::RecvBuf;

/// Writes everything that `reader` yields to `writer`, to the end, and flushes it. Yields how many bytes.
///
/// Between sockets nothing is copied: what the kernel received into is what it sends from.
///
/// # Errors
///
/// Those of both. What was read and not written is put back into `reader`.
///
/// # Cancel safety
///
/// Loses nothing (tokio's does): what a dropped `copy` has read and not written is put back, so that another call
/// goes on from there. How much was written until then it does not say.
#[track_caller]
pub fn copy<'a, R, W>(
    reader: &'a mut R,
    writer: &'a mut W,
) -> impl Future<Output = io::Result<u64>> + Send
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut pump = Pump::new(reader);
    leaf_fn(move |cx| {
        ready!(pump.poll_all(cx, writer))?;
        ready!(writer.poll_flush(cx))?;
        Poll::Ready(Ok(pump.written))
    })
}

/// [`copy`] in both directions at a time, until both have ended. Yields how many bytes went from `a` to `b`, and from
/// `b` to `a`.
///
/// When one side has finished sending, the other is told so ([`poll_shutdown`](AsyncWrite::poll_shutdown)), and may
/// still answer.
///
/// # Errors
///
/// The first one of either side, in either direction, at once; what was read and not written is put back. If both
/// directions fail together, the error has the kind of the first and holds a [`BothFailed`].
///
/// # Cancel safety
///
/// Loses nothing, as [`copy`]; another call goes on from there.
#[track_caller]
pub fn copy_bidirectional<'a, A, B>(
    a: &'a mut A,
    b: &'a mut B,
) -> impl Future<Output = io::Result<(u64, u64)>> + Send
where
    A: AsyncRead + AsyncWrite + ?Sized,
    B: AsyncRead + AsyncWrite + ?Sized,
{
    let mut both = Both {
        a,
        b,
        there: Direction::default(),
        back: Direction::default(),
    };
    leaf_fn(move |cx| both.poll(cx))
}

/// Reads, and writes what it has read.
struct Pump<'a, R: AsyncRead + ?Sized> {
    reader: &'a mut R,
    held: Option<RecvBuf>,
    written: u64,
    ended: bool,
}

impl<'a, R: AsyncRead + ?Sized> Pump<'a, R> {
    fn new(reader: &'a mut R) -> Self {
        Self {
            reader,
            held: None,
            written: 0,
            ended: false,
        }
    }

    /// Ready at the end, and from then on.
    fn poll_all<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        if !self.ended {
            let (held, written) = (&mut self.held, &mut self.written);
            ready!(poll_pump(self.reader, writer, held, written, u64::MAX, cx))?;
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + ?Sized> Drop for Pump<'_, R> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.reader.unread(held);
        }
    }
}

/// What [`poll_pump`] has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// The reader is at its end.
    All,
    /// As much is written as was asked for.
    Enough,
}

/// Ready at the end of `reader`, or when `enough` bytes have been `written`; then nothing is `held`: that is what was read
/// and not written.
pub(super) fn poll_pump<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
    reader: &mut R,
    writer: &mut W,
    held: &mut Option<RecvBuf>,
    written: &mut u64,
    enough: u64,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Pumped>> {
    loop {
        ready!(poll_held(writer, held, written, cx))?;
        if *written >= enough {
            return Poll::Ready(Ok(Pumped::Enough));
        }
        match reader.poll_recv(cx) {
            Poll::Ready(received) => match received? {
                None => return Poll::Ready(Ok(Pumped::All)),
                received => *held = received,
            },
            Poll::Pending => {
                // Nothing more to gather: what has been must not wait for the reader.
                ready!(writer.poll_start_flush(cx))?;
                return Poll::Pending;
            }
        }
    }
}

/// Writes what is `held`. Ready when nothing is: an idle connection holds no buffer.
pub(super) fn poll_held<W: AsyncWrite + ?Sized>(
    writer: &mut W,
    held: &mut Option<RecvBuf>,
    written: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if let Some(bytes) = held {
        while !bytes.is_empty() {
            let count = ready!(writer.poll_write(cx, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes.advance(count);
            *written += count as u64;
        }
    }
    *held = None;
    Poll::Ready(Ok(()))
}

#[derive(Default)]
struct Direction {
    held: Option<RecvBuf>,
    written: u64,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    #[default]
    Open,
    /// The reader is at its end.
    Ended,
    /// And the writer has been told.
    Closed,
}

impl Direction {
    fn poll<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        if let Phase::Open = self.phase {
            ready!(poll_pump(
                reader,
                writer,
                &mut self.held,
                &mut self.written,
                u64::MAX,
                cx
            ))?;
            self.phase = Phase::Ended;
        }
        if let Phase::Ended = self.phase {
            ready!(writer.poll_shutdown(cx))?;
            self.phase = Phase::Closed;
        }
        Poll::Ready(Ok(self.written))
    }
}

struct Both<'a, A: AsyncRead + ?Sized, B: AsyncRead + ?Sized> {
    a: &'a mut A,
    b: &'a mut B,
    there: Direction,
    back: Direction,
}

impl<A, B> Both<'_, A, B>
where
    A: AsyncRead + AsyncWrite + ?Sized,
    B: AsyncRead + AsyncWrite + ?Sized,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(u64, u64)>> {
        let there = self.there.poll(self.a, self.b, cx);
        let back = self.back.poll(self.b, self.a, cx);
        together(there, back)
    }
}

/// The end of both directions, or the first error of either.
pub(super) fn together(
    there: Poll<io::Result<u64>>,
    back: Poll<io::Result<u64>>,
) -> Poll<io::Result<(u64, u64)>> {
    match (there, back) {
        (Poll::Ready(Err(there)), Poll::Ready(Err(back))) => {
            let kind = there.kind();
            Poll::Ready(Err(io::Error::new(kind, BothFailed { there, back })))
        }
        (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
        (Poll::Ready(Ok(there)), Poll::Ready(Ok(back))) => Poll::Ready(Ok((there, back))),
        _ => Poll::Pending,
    }
}

impl<A: AsyncRead + ?Sized, B: AsyncRead + ?Sized> Drop for Both<'_, A, B> {
    fn drop(&mut self) {
        if let Some(held) = self.there.held.take() {
            self.a.unread(held);
        }
        if let Some(held) = self.back.held.take() {
            self.b.unread(held);
        }
    }
}

/// The errors of both directions of a [`copy_bidirectional`], inside of its [`io::Error`].
#[derive(Debug)]
pub struct BothFailed {
    /// That from `a` to `b`.
    pub there: io::Error,
    /// That from `b` to `a`.
    pub back: io::Error,
}

impl fmt::Display for BothFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "both directions failed: {} there, {} back",
            self.there, self.back
        )
    }
}

impl Error for BothFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.there)
    }
}
