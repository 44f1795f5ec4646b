//! The traits of `tokio::io`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Compat, poll_put};
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite};

impl<T: AsyncRead> ::tokio::io::AsyncRead for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ::tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.remaining();
        poll_put(&mut self.get_mut().inner, cx, room, |bytes| {
            into.put_slice(bytes)
        })
    }
}

impl<T: AsyncBufRead> ::tokio::io::AsyncBufRead for Compat<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().inner.consume(count);
    }
}

impl<T: AsyncWrite> ::tokio::io::AsyncWrite for Compat<T> {
    write_methods!(poll_flush, poll_shutdown);

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
