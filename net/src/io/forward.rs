//! Readers and writers behind references, boxes and fields.

use std::io;
use std::task::{Context, Poll};

use super::{AsyncBufRead, AsyncRead, AsyncWrite};
use crate::RecvBuf;

impl<T: AsyncRead + ?Sized> AsyncRead for &mut T {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        (**self).poll_recv(cx)
    }

    fn unread(&mut self, bytes: RecvBuf) {
        (**self).unread(bytes);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, into)
    }
}

impl<T: AsyncRead + ?Sized> AsyncRead for Box<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        (**self).poll_recv(cx)
    }

    fn unread(&mut self, bytes: RecvBuf) {
        (**self).unread(bytes);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, into)
    }
}

impl<T: AsyncBufRead + ?Sized> AsyncBufRead for &mut T {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        (**self).poll_fill_buf(cx)
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }
}

impl<T: AsyncBufRead + ?Sized> AsyncBufRead for Box<T> {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        (**self).poll_fill_buf(cx)
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }
}

/// The methods that also a `dyn AsyncWrite` has, by another writer.
macro_rules! write_behind {
    ($self:ident => $writer:expr) => {
        fn poll_write(&mut $self, cx: &mut ::std::task::Context<'_>, bytes: &[u8]) -> ::std::task::Poll<::std::io::Result<usize>> {
            $writer.poll_write(cx, bytes)
        }

        fn poll_write_vectored(
            &mut $self,
            cx: &mut ::std::task::Context<'_>,
            parts: &[::std::io::IoSlice<'_>],
        ) -> ::std::task::Poll<::std::io::Result<usize>> {
            $writer.poll_write_vectored(cx, parts)
        }

        fn is_write_vectored(&$self) -> bool {
            $writer.is_write_vectored()
        }

        fn poll_flush(&mut $self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
            $writer.poll_flush(cx)
        }

        fn poll_start_flush(&mut $self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
            $writer.poll_start_flush(cx)
        }

        fn poll_shutdown(&mut $self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
            $writer.poll_shutdown(cx)
        }
    };
}

impl<T: AsyncWrite + ?Sized> AsyncWrite for &mut T {
    write_behind!(self => (**self));
}

impl<T: AsyncWrite + ?Sized> AsyncWrite for Box<T> {
    write_behind!(self => (**self));
}

/// Implements `AsyncRead` and `AsyncBufRead` by a field, or what a method returns, that has their methods.
macro_rules! read_through {
    ($type:ty, $($reader:tt)+) => {
        impl $crate::io::AsyncRead for $type {
            fn poll_recv(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<Option<$crate::RecvBuf>>> {
                self.$($reader)+.poll_recv(cx)
            }

            fn unread(&mut self, bytes: $crate::RecvBuf) {
                self.$($reader)+.unread(bytes);
            }

            fn poll_read(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
                into: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.$($reader)+.poll_read(cx, into)
            }
        }

        impl $crate::io::AsyncBufRead for $type {
            fn poll_fill_buf(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<&[u8]>> {
                self.$($reader)+.poll_fill_buf(cx)
            }

            fn consume(&mut self, count: usize) {
                self.$($reader)+.consume(count);
            }
        }
    };
}

/// The methods of `AsyncBufRead` for a reader that shows what it has received in its field `unread`.
macro_rules! shown_unread {
    () => {
        #[track_caller]
        fn poll_fill_buf(
            &mut self,
            cx: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::io::Result<&[u8]>> {
            if self.unread.is_empty()
                && let Some(bytes) =
                    ::std::task::ready!($crate::io::AsyncRead::poll_recv(self, cx))?
            {
                self.unread.put_back(bytes);
            }
            ::std::task::Poll::Ready(Ok(&self.unread))
        }

        fn consume(&mut self, count: usize) {
            self.unread.consume(count);
        }
    };
}

/// Implements `AsyncWrite` by a field that is a `tcp::io::Writer`.
macro_rules! write_through {
    ($type:ty, $writer:ident) => {
        impl $crate::io::AsyncWrite for $type {
            fn poll_write(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
                bytes: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.$writer.poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
                parts: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.$writer.poll_write_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.$writer.poll_flush(cx)
            }

            fn poll_start_flush(
                &mut self,
                _cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(self.$writer.take_error())
            }

            fn poll_shutdown(
                &mut self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.$writer.poll_shutdown(cx)
            }

            fn write_all_owned<B: ::heist_runtime::ops::IoBuf + AsRef<[u8]> + Sync>(
                &mut self,
                buffer: B,
            ) -> impl Future<Output = ::heist_runtime::ops::BufResult<(), B>> + Send {
                self.$writer.write_all_owned(buffer)
            }
        }
    };
}

pub(crate) use {read_through, shown_unread, write_behind, write_through};
