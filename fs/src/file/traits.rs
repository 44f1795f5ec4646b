//! A file through the traits of `heist_net::io`.

use std::future::Future;
use std::io::{self, IoSlice, SeekFrom};
use std::task::{Context, Poll, ready};

use heist_net::RecvBuf;
use heist_net::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use heist_runtime::ops::{BufResult, IoBuf};

use super::File;

impl AsyncRead for File {
    #[track_caller]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.stream.get_mut().poll_recv(cx, self.limit)
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.stream.get_mut().unread(bytes);
    }

    /// Reads no more of the file than was asked for.
    #[track_caller]
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let limit = self.limit.min(into.len());
        let stream = self.stream.get_mut();
        let Some(mut bytes) = ready!(stream.poll_recv(cx, limit))? else {
            return Poll::Ready(Ok(0));
        };
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() {
            bytes.advance(count);
            stream.unread(bytes);
        }
        Poll::Ready(Ok(count))
    }
}

/// A file keeps what it has read, so lines of it need no `BufReader` (tokio's do).
impl AsyncBufRead for File {
    #[track_caller]
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.stream.get_mut().poll_fill_buf(cx, self.limit)
    }

    fn consume(&mut self, count: usize) {
        self.stream.get_mut().consume(count);
    }
}

impl AsyncWrite for File {
    #[track_caller]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    #[track_caller]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.get_mut().poll_write(cx, parts, self.limit)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.get_mut().poll_drain(cx)
    }

    /// What was written is on its way already.
    fn poll_start_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.get_mut().poll_drain(cx)
    }

    fn write_all_owned<B: IoBuf + AsRef<[u8]> + Sync>(
        &mut self,
        buffer: B,
    ) -> impl Future<Output = BufResult<(), B>> + Send {
        self.stream.get_mut().write_all_owned(buffer)
    }
}

impl AsyncSeek for File {
    #[track_caller]
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        self.stream.get_mut().poll_seek(cx, to)
    }
}
