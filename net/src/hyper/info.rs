//! What a request is told about its connection.

#[cfg(feature = "tls")]
use crate::tls::{Certificate, TlsStream, Version};

/// The connection of a request: an extension of it, if [`Serve::connection_info`](super::Serve::connection_info) says so.
/// `A` is what the listener has for addresses: `SocketAddr` for TCP.
#[derive(Debug, Clone)]
pub struct ConnectionInfo<A> {
    pub(super) id: u64,
    pub(super) remote: A,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<std::sync::Arc<TlsInfo>>,
}

/// What was agreed on in the handshake of TLS.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub(super) struct TlsInfo {
    version: Version,
    server_name: Option<String>,
    certificates: Vec<Certificate>,
}

#[cfg(feature = "tls")]
impl TlsInfo {
    pub(super) fn of<S: crate::io::AsyncRead + crate::io::AsyncWrite>(
        stream: &TlsStream<S>,
    ) -> Self {
        Self {
            version: stream.protocol_version(),
            server_name: stream.server_name().map(str::to_owned),
            certificates: stream.peer_certificates(),
        }
    }
}

impl<A> ConnectionInfo<A> {
    /// The number of the connection, as in [`ConnectionMetrics`](super::ConnectionMetrics).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it comes from.
    pub fn remote_addr(&self) -> &A {
        &self.remote
    }

    /// The version of TLS; `None` without TLS.
    #[cfg(feature = "tls")]
    pub fn tls_version(&self) -> Option<Version> {
        Some(self.tls.as_ref()?.version)
    }

    /// The name that the client has asked for in the handshake of TLS (SNI), if any.
    #[cfg(feature = "tls")]
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }

    /// The client's certificates, its own first; none without TLS, or if it has sent none.
    #[cfg(feature = "tls")]
    pub fn peer_certificates(&self) -> &[Certificate] {
        self.tls.as_ref().map_or(&[], |tls| &tls.certificates)
    }
}
