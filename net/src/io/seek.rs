//! Readers and writers that have a position.

use std::future::Future;
use std::io::{self, SeekFrom};
use std::task::{Context, Poll, ready};

use heist_runtime::scope::leaf_fn;

use super::{AsyncRead, AsyncWrite, BufReader, BufStream, BufWriter};

/// What has a position that can be moved, as files have. Programs use the methods of [`AsyncSeekExt`].
///
/// Differs from tokio's, which starts a seek and completes it: here it is one poll.
pub trait AsyncSeek: Send {
    /// Polls to move the position, after all that was written before; yields the new one, in bytes from the start.
    /// While it is pending nothing has moved.
    ///
    /// Bytes that were put back ([`unread`](AsyncRead::unread)) count as not read, and are forgotten.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a position before the start, `NotSeekable` for what has none, and those of what was written
    /// before; nothing has moved then.
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>>;
}

/// The methods of everything that is [`AsyncSeek`], in tokio's names.
pub trait AsyncSeekExt: AsyncSeek {
    /// Moves the position, and yields the new one, in bytes from the start.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a position before the start, `NotSeekable` for what has none, and those of what was written
    /// before; nothing has moved then.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: dropped, it has moved nothing.
    #[track_caller]
    fn seek(&mut self, to: SeekFrom) -> impl Future<Output = io::Result<u64>> + Send {
        leaf_fn(move |cx| self.poll_seek(cx, to))
    }

    /// Moves the position to the start.
    ///
    /// # Errors
    ///
    /// As for [`seek`](Self::seek).
    ///
    /// # Cancel safety
    ///
    /// As there.
    #[track_caller]
    fn rewind(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        leaf_fn(|cx| self.poll_seek(cx, SeekFrom::Start(0)).map_ok(drop))
    }

    /// The position, in bytes from the start.
    ///
    /// # Errors
    ///
    /// As for [`seek`](Self::seek).
    ///
    /// # Cancel safety
    ///
    /// As there.
    #[track_caller]
    fn stream_position(&mut self) -> impl Future<Output = io::Result<u64>> + Send {
        leaf_fn(|cx| self.poll_seek(cx, SeekFrom::Current(0)))
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeekExt for S {}

impl<S: AsyncSeek + ?Sized> AsyncSeek for &mut S {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        (**self).poll_seek(cx, to)
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeek for Box<S> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        (**self).poll_seek(cx, to)
    }
}

/// What was read ahead is put back, so that a position is that of the next byte of this reader.
impl<R: AsyncRead + AsyncSeek> AsyncSeek for BufReader<R> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        self.put_back().poll_seek(cx, to)
    }
}

/// What was gathered is written first.
impl<W: AsyncWrite + AsyncSeek> AsyncSeek for BufWriter<W> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        ready!(self.poll_drain(cx))?;
        self.get_mut().poll_seek(cx, to)
    }
}

/// As for [`BufReader`] and [`BufWriter`].
impl<S: AsyncRead + AsyncWrite + AsyncSeek> AsyncSeek for BufStream<S> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        self.as_inner().poll_seek(cx, to)
    }
}
