//! One TLS connection over whatever can be read and written.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::certificate::Certificate;
use super::error::Error;
use super::session::Session;
use super::split::{self, ReadHalf, WriteHalf};
use super::version::Version;
use crate::RecvBuf;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite, Unread};

/// A TLS connection over an `S`, from [`TlsConnector::connect`](super::TlsConnector::connect) or
/// [`TlsAcceptor::accept`](super::TlsAcceptor::accept). It is read and written by the methods of
/// [`AsyncReadExt`](crate::io::AsyncReadExt), [`AsyncBufReadExt`](crate::io::AsyncBufReadExt) and
/// [`AsyncWriteExt`](crate::io::AsyncWriteExt).
///
/// - What was written is sent at once as far as the `S` takes it, and the rest with the next write, flush or read.
/// - [`shutdown`](crate::io::AsyncWriteExt::shutdown) tells the peer that this was all (`close_notify`), which a drop
///   does not. Reading may go on.
/// - The end of the `S` without such an end of TLS is an error, `UnexpectedEof`: what came may be cut short. See
///   [`Error::is_truncated`].
/// - Memory is bounded: at most 18 KiB of a record that has not come whole, 32 KiB to be read and 64 KiB to be sent.
///   An idle connection keeps 4 KiB, and the state of the protocol.
///
/// Received bytes are copied three times: into the buffer of rustls in which they are decrypted, from it into one of
/// their own, and out of that; reading by [`fill_buf`](crate::io::AsyncBufReadExt::fill_buf) saves the last. Written
/// bytes are copied once, into the record in which they are encrypted.
///
/// # Cancel safety
///
/// As for a socket: a dropped read has taken no byte, a dropped write has written none, and a flush or shutdown goes
/// on where it was. A handshake that is dropped drops the `S`.
pub struct TlsStream<S> {
    io: S,
    session: Session,
    /// Plaintext that was put back.
    unread: Unread,
    /// What came from `io` and was not decrypted yet, since there is plaintext to be read.
    undecrypted: Unread,
    /// What a send met that had no caller to tell it to.
    write_error: Option<io::Error>,
    /// Somebody waits until `io` can be written, with a waker that a reader must not replace.
    is_writer_waiting: bool,
    has_said_end: bool,
}

impl<S> TlsStream<S> {
    pub(super) fn new(io: S, session: Session) -> Self {
        Self {
            io,
            session,
            unread: Unread::new(),
            undecrypted: Unread::new(),
            write_error: None,
            is_writer_waiting: false,
            has_said_end: false,
        }
    }

    /// What is below.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// What is below. Reading from it or writing to it breaks the connection.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// What is below, without what TLS holds of it: of use once both directions have ended.
    pub fn into_inner(self) -> S {
        self.io
    }

    /// The protocol that was agreed on by ALPN ([RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)), if any.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// The version that was agreed on.
    ///
    /// # Panics
    ///
    /// Never: a stream is made when its handshake is over.
    #[must_use]
    pub fn protocol_version(&self) -> Version {
        let version = self.session.version();
        version.expect("a handshake that is over has agreed on a version")
    }

    /// Whether the handshake was short because the two know each other from an earlier one.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.session.is_resumed()
    }

    /// The certificates of the peer, its own first; none if it has sent none. Those of a resumed session are the ones of
    /// the first.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Certificate> {
        self.session.peer_certificates()
    }

    /// At a server, the name that the client has asked for (SNI), if any.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.session.server_name()
    }

    /// Splits the connection into halves that may go to different tasks.
    ///
    /// They share the state of TLS, so each waits for the other while that encrypts or decrypts a few records, and
    /// never while it waits for the peer.
    #[must_use]
    pub fn into_split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        split::split(self)
    }
}

impl<S: AsyncRead + AsyncWrite> TlsStream<S> {
    /// Agrees with the peer on how to talk.
    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(failure) = self.session.failure() {
                let failure = failure.clone();
                // The peer is told why, if that is possible without waiting.
                let _ = self.poll_flush_all(cx);
                return Poll::Ready(Err(failure.into()));
            }
            ready!(self.poll_flush_all(cx))?;
            if !self.session.is_handshaking() {
                // Until the kernel has it: a socket takes no second write before, and the first one of the connection would
                // be left here until somebody flushes or reads.
                return self.io.poll_flush(cx);
            }
            if self.session.is_closed() || !ready!(self.poll_ciphertext(cx))? {
                return Poll::Ready(Err(Error::truncated().into()));
            }
        }
    }

    /// Receives and decrypts until there is plaintext. Yields whether there is any: `false` at the end.
    fn poll_plaintext(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if !self.session.plaintext().is_empty() {
                return Poll::Ready(Ok(true));
            }
            // What is to be said in between: answers of the protocol, alerts, and what a writer has left.
            self.send_aside(cx);
            if let Some(failure) = self.session.failure() {
                return Poll::Ready(Err(failure.clone().into()));
            }
            if self.session.is_closed() {
                return Poll::Ready(Ok(false));
            }
            if !ready!(self.poll_ciphertext(cx))? {
                return Poll::Ready(Err(Error::truncated().into()));
            }
        }
    }

    /// Gives the session the next bytes that came. Yields `false` when none will.
    fn poll_ciphertext(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.undecrypted.is_empty() {
            let Poll::Ready(received) = self.io.poll_recv(cx) else {
                self.session.shrink();
                return Poll::Pending;
            };
            let Some(received) = received? else {
                return Poll::Ready(Ok(false));
            };
            self.undecrypted.put_back(received);
        }
        let count = self.session.take(&self.undecrypted);
        self.undecrypted.consume(count);
        Poll::Ready(Ok(true))
    }

    /// Sends for a reader what can be sent, unless a writer waits to do so.
    fn send_aside(&mut self, cx: &mut Context<'_>) {
        if self.session.has_output()
            && !self.is_writer_waiting
            && let Poll::Ready(Err(error)) = self.poll_flush_all(cx)
        {
            // A reader has no use for it: there may be more to read.
            self.write_error = Some(error);
        }
    }

    /// Sends everything.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { session, io, .. } = self;
        while session.has_output() {
            let sent = session.output(|parts| match io.poll_write_vectored(cx, parts) {
                Poll::Ready(sent) => sent,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            });
            match sent {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends everything, and has whatever is below send it.
    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.io.poll_start_flush(cx)
    }

    /// Notes whether a writer waits.
    fn written<T>(&mut self, result: Poll<T>) -> Poll<T> {
        self.is_writer_waiting = result.is_pending();
        result
    }

    /// The errors of earlier writes and reads that end writing.
    fn check_writable(&mut self) -> io::Result<()> {
        if let Some(error) = self.write_error.take() {
            return Err(error);
        }
        match self.session.failure() {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }

    fn poll_write_parts(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_writable()?;
        if self.has_said_end {
            let text = "the TLS connection was shut down for writing";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, text)));
        }
        // Nothing is taken before all of the last has gone, which bounds what is held here, and lets a dropped write
        // have written nothing.
        ready!(self.poll_send(cx))?;
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let count = self.session.encrypt(parts)?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        // It is taken now, whatever happens to it. When it has to wait the next call sends it.
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            self.write_error = Some(error);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.write_error.take() {
            return Poll::Ready(Err(error));
        }
        if !self.has_said_end {
            self.has_said_end = true;
            self.session.close();
        }
        ready!(self.poll_flush_all(cx))?;
        match ready!(self.io.poll_shutdown(cx)) {
            // The peer has gone already: whoever answers an end with an end has nobody to tell.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            shut => Poll::Ready(shut),
        }
    }
}

/// For pools.
impl<S: AsyncRead + AsyncWrite> TlsStream<S> {
    /// Polls whether nothing has come that was not read, except for what the protocol says to itself (the tickets of
    /// TLS 1.3, new keys). `poll_below` asks what is below. It is pending at most until what is there can be read.
    pub(crate) fn poll_is_quiet(
        &mut self,
        cx: &mut Context<'_>,
        poll_below: impl Fn(&mut S, &mut Context<'_>) -> Poll<bool>,
    ) -> Poll<bool> {
        loop {
            let is_open = self.session.failure().is_none() && !self.session.is_closed();
            if !is_open || !self.unread.is_empty() || !self.session.plaintext().is_empty() {
                return Poll::Ready(false);
            }
            if self.undecrypted.is_empty() && ready!(poll_below(&mut self.io, cx)) {
                return Poll::Ready(true);
            }
            if !ready!(self.poll_ciphertext(cx)).is_ok_and(|has_more| has_more) {
                return Poll::Ready(false);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for TlsStream<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        if !ready!(self.poll_plaintext(cx))? {
            return Poll::Ready(Ok(None));
        }
        // Everything that is here, in one buffer.
        let mut bytes = Vec::with_capacity(self.session.plaintext().len() + self.undecrypted.len());
        loop {
            let plaintext = self.session.plaintext();
            let count = plaintext.len();
            bytes.extend_from_slice(plaintext);
            if count > 0 {
                self.session.consume(count);
                continue;
            }
            if self.undecrypted.is_empty() || self.session.failure().is_some() {
                return Poll::Ready(Ok(Some(bytes.into())));
            }
            let count = self.session.take(&self.undecrypted);
            self.undecrypted.consume(count);
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = ready!(self.poll_fill_buf(cx))?;
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncBufRead for TlsStream<S> {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if !self.unread.is_empty() {
            return Poll::Ready(Ok(&self.unread));
        }
        ready!(self.poll_plaintext(cx))?;
        Poll::Ready(Ok(self.session.plaintext()))
    }

    fn consume(&mut self, count: usize) {
        if self.unread.is_empty() {
            let shown = self.session.plaintext().len();
            assert!(count <= shown, "more bytes consumed than were shown");
            self.session.consume(count);
        } else {
            self.unread.consume(count);
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for TlsStream<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_write_parts(cx, parts);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_writable()?;
        let flushed = match self.poll_send(cx) {
            Poll::Ready(Ok(())) => self.io.poll_flush(cx),
            unsent => unsent,
        };
        self.written(flushed)
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_writable()?;
        let flushed = self.poll_flush_all(cx);
        self.written(flushed)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.poll_end(cx);
        self.written(ended)
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("io", &self.io)
            .field("is_client", &self.session.is_client())
            .field("version", &self.session.version())
            .finish_non_exhaustive()
    }
}
