//! The traits of `hyper::rt`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Compat, poll_put};
use crate::io::{AsyncRead, AsyncWrite};

impl<T: AsyncRead> ::hyper::rt::Read for Compat<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ::hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.remaining();
        poll_put(&mut self.get_mut().inner, cx, room, |bytes| {
            into.put_slice(bytes)
        })
    }
}

impl<T: AsyncWrite> ::hyper::rt::Write for Compat<T> {
    // hyper flushes after each of its messages, and wants them sent and not to know when.
    write_methods!(poll_start_flush, poll_shutdown);

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
