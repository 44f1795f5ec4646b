//! The methods of connections that do not wait, and the waits that go with them, in tokio's names.

/// The methods of `$type`, which reads by a field, or what a method returns: a `tcp::io::Reader`.
macro_rules! read_now {
    ($type:ty, $($reader:tt)+) => {
        /// # Reading what is there
        ///
        /// Unlike tokio's these need the connection for themselves: the runtime has bytes in hand that it received ahead.
        /// They are looked at first, so none is missed and none comes out of order.
        impl $type {
            /// Copies bytes that have arrived into `into`, and does not wait. Yields how many; 0 when the peer has
            /// finished sending or `into` is empty.
            ///
            /// # Errors
            ///
            /// `WouldBlock` when nothing has arrived, and those of `recv(2)`.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::io::ErrorKind;
            ///
            /// # heist_runtime::block_on(async {
            /// let (mut one, mut other) = heist_net::UnixStream::pair()?;
            /// let mut buffer = [0; 8];
            /// assert_eq!(one.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            ///
            /// other.write_all(b"hello").await?;
            /// let read = loop {
            ///     one.readable().await?;
            ///     match one.try_read(&mut buffer) {
            ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            ///         read => break read?,
            ///     }
            /// };
            /// assert_eq!(&buffer[..read], b"hello");
            /// # Ok::<(), std::io::Error>(()) }).unwrap();
            /// ```
            pub fn try_read(&mut self, into: &mut [u8]) -> ::std::io::Result<usize> {
                self.$($reader)+.try_read(into)
            }

            /// As [`try_read`](Self::try_read), into one slice after the other.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_read_vectored(
                &mut self,
                into: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                self.$($reader)+.try_read_vectored(into)
            }

            /// As [`try_read`](Self::try_read), and appends the bytes to `into`.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_read_buf<B: ::bytes::BufMut>(
                &mut self,
                into: &mut B,
            ) -> ::std::io::Result<usize> {
                self.$($reader)+.try_read_buf(into)
            }

            /// Waits for bytes, copies as many as have arrived into `into`, and leaves them to be read. Yields how many;
            /// 0 when the peer has finished sending or `into` is empty.
            ///
            /// # Errors
            ///
            /// Those of `recv(2)`; what arrived before the error can still be read.
            ///
            /// # Cancel safety
            ///
            /// It takes nothing anyway.
            #[track_caller]
            pub fn peek(
                &mut self,
                into: &mut [u8],
            ) -> impl ::std::future::Future<Output = ::std::io::Result<usize>> + Send {
                ::heist_runtime::scope::leaf_fn(move |cx| self.$($reader)+.poll_peek(cx, into))
            }
        }
    };
}

/// The methods of `$type`, whose field `$writer` is a `tcp::io::Writer`.
macro_rules! write_now {
    ($type:ty, $writer:ident) => {
        /// # Writing what there is room for
        impl $type {
            /// Gives the kernel as much of `bytes` as it has room for, and does not wait. Yields how much.
            ///
            /// # Errors
            ///
            /// `WouldBlock` when there is no room, or an earlier write is still on its way; and those of `send(2)`, also
            /// of what was written before.
            pub fn try_write(&mut self, bytes: &[u8]) -> ::std::io::Result<usize> {
                self.$writer.try_write(bytes)
            }

            /// As [`try_write`](Self::try_write), of the slices as if they were one.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_write_vectored(
                &mut self,
                parts: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                self.$writer.try_write_vectored(parts)
            }

            /// Waits until the kernel has what was written before, and room for more, or an error.
            ///
            /// # Errors
            ///
            /// Those of what was written before.
            ///
            /// # Cancel safety
            ///
            /// It writes nothing.
            #[track_caller]
            pub fn writable(
                &mut self,
            ) -> impl ::std::future::Future<Output = ::std::io::Result<()>> + Send {
                ::heist_runtime::scope::leaf_fn(|cx| self.$writer.poll_writable(cx))
            }
        }
    };
}

/// The wait that goes with [`read_now`], where nothing else may be received with the bytes.
macro_rules! readable {
    ($type:ty, $reader:ident) => {
        impl $type {
            /// Waits until there are bytes to read, or the end.
            ///
            /// # Errors
            ///
            /// Those of `recv(2)`, which tokio leaves to the next read.
            ///
            /// # Cancel safety
            ///
            /// It takes nothing.
            #[track_caller]
            pub fn readable(
                &mut self,
            ) -> impl ::std::future::Future<Output = ::std::io::Result<()>> + Send {
                ::heist_runtime::scope::leaf_fn(|cx| self.$reader.poll_readable(cx))
            }
        }
    };
}

/// `into_std` of the stream `$type`, with the fields `reader` and `writer`.
macro_rules! into_std {
    ($type:ty, $std:ty) => {
        /// # To the standard library
        impl $type {
            /// Gives the connection to the standard library. Set whether it blocks; tokio's does not.
            ///
            /// # Errors
            ///
            /// `InvalidInput` when it has been read from, or waited at for bytes: the runtime may have received some that
            /// would be lost ([`into_std_with_unread`](Self::into_std_with_unread) yields them). `WouldBlock` when a
            /// write is still on its way, for which `flush` of [`AsyncWriteExt`](crate::io::AsyncWriteExt) waits, and the
            /// error of an earlier write. With each of them the connection is closed.
            pub fn into_std(self) -> ::std::io::Result<$std> {
                $crate::tcp::io::into_fd(self.reader, self.writer).map(Into::into)
            }

            /// As [`into_std`](Self::into_std), at any time: waits until the kernel has everything that was written, and
            /// has stopped receiving for the runtime. Yields also what it had received, and nobody has read.
            ///
            /// # Errors
            ///
            /// Those of the connection, which is then closed, with what was received of it.
            ///
            /// # Cancel safety
            ///
            /// Dropping it closes the connection.
            pub async fn into_std_with_unread(self) -> ::std::io::Result<($std, Vec<u8>)> {
                let (fd, unread) =
                    $crate::tcp::io::into_fd_with_unread(self.reader, self.writer).await?;
                Ok((fd.into(), unread))
            }
        }
    };
}

/// The methods of the datagram socket `$type`, whose field `fd` is shared, that receive into buffers that grow: `$receive`
/// appends a datagram to a vector, of at most `$longest` bytes, and yields the sender's address.
macro_rules! grow {
    ($type:ty, $address:ty, $longest:expr, $owned:literal, |$fd:ident, $datagram:ident| $receive:block) => {
        /// # Receiving into buffers that grow
        ///
        #[doc = concat!("The datagram is copied once; [`recv_owned`](Self::recv_owned) copies nothing", $owned, ".")]
        impl $type {
            /// Waits for a datagram and appends it to `into`. Yields how many bytes; what `into` has no room for is lost.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// Loses nothing: a datagram is taken only by a call that returns it.
            pub async fn recv_buf<B: ::bytes::BufMut + Send>(
                &self,
                into: &mut B,
            ) -> ::std::io::Result<usize> {
                $crate::ready::when(&self.fd, $crate::ready::READABLE, |_| self.try_recv_buf(into)).await
            }

            /// As [`recv_buf`](Self::recv_buf), of what is there.
            ///
            /// # Errors
            ///
            /// `WouldBlock` when there is nothing, and those of [`recv`](Self::recv).
            pub fn try_recv_buf<B: ::bytes::BufMut>(&self, into: &mut B) -> ::std::io::Result<usize> {
                let mut datagram = $crate::tries::datagram_for(into, $longest);
                ::heist_runtime::ops::recv_now(&self.fd, &mut datagram, 0)?;
                Ok($crate::tries::put(&datagram, into))
            }

            /// As [`recv_buf`](Self::recv_buf), with the address of the sender.
            ///
            /// # Errors
            ///
            /// As for [`recv_from`](Self::recv_from).
            ///
            /// # Cancel safety
            ///
            /// Loses nothing: a datagram is taken only by a call that returns it.
            pub async fn recv_buf_from<B: ::bytes::BufMut + Send>(
                &self,
                into: &mut B,
            ) -> ::std::io::Result<(usize, $address)> {
                $crate::ready::when(&self.fd, $crate::ready::READABLE, |_| {
                    self.try_recv_buf_from(into)
                })
                .await
            }

            /// As [`recv_buf_from`](Self::recv_buf_from), of what is there.
            ///
            /// # Errors
            ///
            /// `WouldBlock` when there is nothing, and those of [`recv_from`](Self::recv_from).
            pub fn try_recv_buf_from<B: ::bytes::BufMut>(
                &self,
                into: &mut B,
            ) -> ::std::io::Result<(usize, $address)> {
                let receive = |$fd: &::heist_runtime::ops::SharedFd, $datagram: &mut Vec<u8>| $receive;
                let mut datagram = $crate::tries::datagram_for(into, $longest);
                let from: ::std::io::Result<$address> = receive(&self.fd, &mut datagram);
                let from = from?;
                Ok(($crate::tries::put(&datagram, into), from))
            }
        }
    };
}

/// The methods of the datagram socket `$type`, whose field `fd` is shared, that have others call.
macro_rules! own_calls {
    ($type:ty) => {
        /// # System calls of one's own
        impl $type {
            /// Waits until something of `interest` holds, and tells what.
            ///
            /// # Errors
            ///
            /// Those of the ring.
            ///
            /// # Cancel safety
            ///
            /// It takes nothing.
            pub async fn ready(
                &self,
                interest: $crate::io::Interest,
            ) -> ::std::io::Result<$crate::io::Ready> {
                let events = ::heist_runtime::ops::poll_ready(&self.fd, interest.events()).await?;
                Ok($crate::io::Ready::answer(events, interest))
            }

            /// Calls `call`, which uses the socket by its descriptor. Unlike tokio's it always does, as nothing is known of
            /// the socket before.
            ///
            /// It makes the socket non-blocking, for all who share it: the call must not wait.
            ///
            /// # Errors
            ///
            /// Those of `call`.
            pub fn try_io<R>(
                &self,
                _interest: $crate::io::Interest,
                call: impl FnOnce() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.socket().set_nonblocking(true)?;
                call()
            }

            /// Calls `call` as [`try_io`](Self::try_io) does, and again whenever something of `interest` holds, until it
            /// does not say `WouldBlock`.
            ///
            /// # Errors
            ///
            /// Those of `call`.
            ///
            /// # Cancel safety
            ///
            /// Dropped, no call has done anything.
            pub async fn async_io<R>(
                &self,
                interest: $crate::io::Interest,
                mut call: impl FnMut() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.socket().set_nonblocking(true)?;
                $crate::ready::when(&self.fd, interest.events(), |_| call()).await
            }
        }
    };
}

/// A buffer for one datagram on its way into `into`, of at most `longest` bytes.
pub(crate) fn datagram_for<B: bytes::BufMut>(into: &B, longest: usize) -> Vec<u8> {
    Vec::with_capacity(into.remaining_mut().min(longest))
}

/// Appends what fits of a datagram. Returns how much.
pub(crate) fn put<B: bytes::BufMut>(datagram: &[u8], into: &mut B) -> usize {
    // The allocator may have given more than was asked for.
    let length = datagram.len().min(into.remaining_mut());
    into.put_slice(&datagram[..length]);
    length
}

pub(crate) use {grow, into_std, own_calls, read_now, readable, write_now};
