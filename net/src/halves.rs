//! The two halves of a connection, over TCP or a Unix socket.

/// The types of the halves of a `$stream`. Used in a module of its own for each kind of stream.
macro_rules! halves {
    ($stream:ident) => {
        #[doc = concat!("The reading half of a [`", stringify!($stream), "`], from")]
        #[doc = concat!("[`", stringify!($stream), "::into_split`].")]
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            reader: Reader,
        }

        #[doc = concat!("The writing half of a [`", stringify!($stream), "`], from")]
        #[doc = concat!("[`", stringify!($stream), "::into_split`].")]
        /// Dropping it ends the direction, as in tokio.
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

            #[doc = concat!("As [`", stringify!($stream), "::recv`].")]
            ///
            /// # Errors
            ///
            /// As there.
            #[track_caller]
            pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + Send {
                leaf_fn(|cx| self.poll_recv(cx))
            }

            #[doc = concat!("As [`", stringify!($stream), "::poll_recv`].")]
            #[track_caller]
            pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
                self.reader.poll_recv(cx)
            }

            #[doc = concat!("As [`", stringify!($stream), "::read`].")]
            ///
            /// # Errors
            ///
            /// As there.
            #[track_caller]
            pub fn read(
                &mut self,
                into: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send {
                leaf_fn(|cx| self.poll_read(cx, into))
            }

            #[doc = concat!("As [`", stringify!($stream), "::poll_read`].")]
            #[track_caller]
            pub fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                into: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.reader.poll_read(cx, into)
            }

            #[doc = concat!("As [`", stringify!($stream), "::read_exact`].")]
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
            pub fn reunite(self, mut other: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                if self.reader.fd().as_raw_fd() != other.writer.fd().as_raw_fd() {
                    return Err(ReuniteError(Box::new(self), other));
                }
                other.ends_on_drop = false;
                // With the writer comes what it has on its way.
                let spare = Writer::new(self.reader.fd().clone());
                let writer = std::mem::replace(&mut other.writer, spare);
                Ok($stream::from_parts(self.reader, writer))
            }
        }

        impl OwnedWriteHalf {
            pub(crate) fn new(writer: Writer) -> Self {
                Self {
                    writer,
                    ends_on_drop: true,
                }
            }

            #[doc = concat!("As [`", stringify!($stream), "::write`].")]
            ///
            /// # Errors
            ///
            /// As there.
            #[track_caller]
            pub fn write(
                &mut self,
                bytes: &[u8],
            ) -> impl Future<Output = io::Result<usize>> + Send {
                AsyncWriteExt::write(self, bytes)
            }

            #[doc = concat!("As [`", stringify!($stream), "::write_vectored`].")]
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

            #[doc = concat!("As [`", stringify!($stream), "::write_all`].")]
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

            #[doc = concat!("As [`", stringify!($stream), "::send`].")]
            ///
            /// # Errors
            ///
            /// As there.
            pub fn send<B: IoBuf>(
                &mut self,
                buffer: B,
            ) -> impl Future<Output = io::Result<()>> + Send {
                self.writer.send(buffer)
            }

            #[doc = concat!("As [`", stringify!($stream), "::write_all_owned`].")]
            pub async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
                self.writer.write_all_owned(buffer).await
            }

            /// Drops the half without ending the direction.
            pub fn forget(mut self) {
                self.ends_on_drop = false;
            }
        }

        read_through!(OwnedReadHalf, reader);
        read_now!(OwnedReadHalf, reader);
        readable!(OwnedReadHalf, reader);
        write_through!(OwnedWriteHalf, writer);
        write_now!(OwnedWriteHalf, writer);

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.ends_on_drop {
                    // The connection may be gone already, which is as good.
                    drop(self.writer.shutdown(Shutdown::Write));
                }
            }
        }
    };
}

pub(crate) use halves;
