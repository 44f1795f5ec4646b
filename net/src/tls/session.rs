//! The state machine of one connection: bytes in, bytes out, no I/O.
//!
//! This is the one file that knows how rustls moves bytes. Its next version will do that otherwise, and the stream
//! shall not notice.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig};
use rustls::{ServerConnection, Side};

use super::certificate::Certificate;
use super::error::Error;
use super::version::Version;

/// What TLS knows of one connection.
///
/// It holds at most one record that has not come in whole (18 KiB; of a handshake 64 KiB), 32 KiB that were decrypted
/// and not read, and 64 KiB that were encrypted and not sent. Of an idle one, 4 KiB are left.
pub(super) struct Session {
    connection: Connection,
    side: Side,
    /// The peer has said that nothing more will come.
    is_closed: bool,
    /// What broke the connection. What came before that is still to be read.
    failure: Option<Error>,
}

impl Session {
    pub(super) fn client(
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
    ) -> Result<Self, Error> {
        let connection = ClientConnection::new(config, server)?;
        Ok(Self::new(connection.into(), Side::Client))
    }

    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = ServerConnection::new(config)?;
        Ok(Self::new(connection.into(), Side::Server))
    }

    fn new(connection: Connection, side: Side) -> Self {
        Self {
            connection,
            side,
            is_closed: false,
            failure: None,
        }
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.side, Side::Client)
    }

    /// Whether there is more to be said before bytes may be written.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes what has come from the peer, until there is something to read. Returns how much it has taken: all, if there
    /// is nothing to read.
    pub(super) fn take(&mut self, input: &[u8]) -> usize {
        let mut left = input;
        while !left.is_empty() && self.failure.is_none() && self.plaintext().is_empty() {
            if self.is_closed {
                // Behind the end there is nothing that counts.
                return input.len();
            }
            // It takes some thousand bytes at a time.
            if let Err(error) = self.connection.read_tls(&mut left) {
                self.failure = Some(rustls::Error::General(error.to_string()).into());
                break;
            }
            match self.connection.process_new_packets() {
                Ok(state) => self.is_closed = state.peer_has_closed(),
                Err(error) => self.failure = Some(error.into()),
            }
        }
        input.len() - left.len()
    }

    /// The first bytes that were decrypted and not consumed.
    pub(super) fn plaintext(&mut self) -> &[u8] {
        // Its errors say that there are none, which the caller finds out otherwise.
        let first = self.connection.reader().into_first_chunk();
        first.unwrap_or_default()
    }

    /// Drops the first `count` bytes of [`plaintext`](Self::plaintext).
    pub(super) fn consume(&mut self, count: usize) {
        io::BufRead::consume(&mut self.connection.reader(), count);
    }

    /// Whether the peer has ended its direction properly.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Encrypts a part of the slices, at least something unless they are empty. Returns how much.
    pub(super) fn encrypt(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(parts)
    }

    /// Says that nothing more will be written.
    pub(super) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Whether something waits to be sent.
    pub(super) fn has_output(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends what `send` takes.
    pub(super) fn output(
        &mut self,
        send: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.connection.write_tls(&mut Sender(send))
    }

    /// Gives memory back, before a wait.
    pub(super) fn shrink(&mut self) {
        // Its buffer is made to fit before each read, also before one that brings nothing.
        let nothing = self.connection.read_tls(&mut Nothing);
        debug_assert!(nothing.is_err());
    }

    pub(super) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.connection.protocol_version().and_then(Version::of)
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(super) fn peer_certificates(&self) -> Vec<Certificate> {
        let chain = self.connection.peer_certificates().unwrap_or_default();
        let owned = |der: &rustls::pki_types::CertificateDer<'_>| Certificate {
            der: der.clone().into_owned(),
        };
        chain.iter().map(owned).collect()
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(connection) => connection.server_name(),
            Connection::Client(_) => None,
        }
    }
}

/// A function as a `Write`.
struct Sender<F>(F);

impl<F: FnMut(&[IoSlice<'_>]) -> io::Result<usize>> Write for Sender<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (self.0)(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has nothing yet, which is not the end.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
