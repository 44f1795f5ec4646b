//! The server's side: settings, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{KeyLogFile, ServerConfig};

use super::certificate::{Certificate, Identity};
use super::error::Error;
use super::roots::roots;
use super::session::Session;
use super::stream::TlsStream;
use super::version::{Version, between};
use crate::io::{AsyncRead, AsyncWrite};

/// Accepts TLS connections of clients (tokio-rustls: the type of the same name). Clones are cheap, and share the
/// sessions that can be resumed.
///
/// ```no_run
/// use heist_net::TcpListener;
/// use heist_net::tls::{Identity, TlsAcceptor};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::from_pem(&std::fs::read("server.pem")?)?;
/// let acceptor = TlsAcceptor::new(identity)?;
/// let listener = TcpListener::bind("0.0.0.0:8443").await?;
/// loop {
///     let (socket, _) = listener.accept().await?;
///     let acceptor = acceptor.clone();
///     // Each in its own task: a handshake waits for its client.
///     heist_runtime::spawn(async move {
///         let stream = acceptor.accept(socket).await?;
///         let (mut from, mut into) = stream.into_split();
///         heist_net::io::copy(&mut from, &mut into).await
///     });
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
}

/// The settings of a [`TlsAcceptor`].
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until the acceptor is built"]
pub struct TlsAcceptorBuilder {
    identity: Identity,
    client_roots: Vec<Certificate>,
    client_required: bool,
    alpn: Vec<Vec<u8>>,
    least: Version,
    most: Version,
    sessions: usize,
    tickets: bool,
    key_log: bool,
}

impl TlsAcceptor {
    /// An acceptor with the defaults of its [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As for [`TlsAcceptorBuilder::build`].
    pub fn new(identity: Identity) -> Result<Self, Error> {
        Self::builder(identity).build()
    }

    /// The settings of a new acceptor, which shows itself as `identity`.
    pub fn builder(identity: Identity) -> TlsAcceptorBuilder {
        TlsAcceptorBuilder {
            identity,
            client_roots: Vec::new(),
            client_required: true,
            alpn: Vec::new(),
            least: Version::TLS_1_2,
            most: Version::TLS_1_3,
            sessions: 256,
            tickets: true,
            key_log: false,
        }
    }

    /// The same acceptor, which agrees to `protocols` if it has none for ALPN.
    #[cfg(feature = "hyper")]
    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        if self.config.alpn_protocols.is_empty() {
            let config = Arc::make_mut(&mut self.config);
            config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        }
        self
    }

    /// Makes a connection over `stream` a TLS connection to a client.
    ///
    /// It has no time limit of its own; put a [`timeout`](heist_sync::time::timeout()) around it, or clients that say
    /// nothing stay for ever.
    ///
    /// # Errors
    ///
    /// Those of the stream, and [`Error`]s.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the stream: half a handshake is of no use.
    pub async fn accept<S: AsyncRead + AsyncWrite>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let session = Session::server(self.config.clone())?;
        let mut stream = TlsStream::new(stream, session);
        stream.handshake().await?;
        Ok(stream)
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

impl TlsAcceptorBuilder {
    /// Asks clients for certificates, and trusts those that this one has issued. Default: they are not asked.
    pub fn add_client_root_certificate(mut self, certificate: Certificate) -> Self {
        self.client_roots.push(certificate);
        self
    }

    /// Whether a client that is asked for a certificate must have one. Default: true.
    pub fn client_certificate_required(mut self, required: bool) -> Self {
        self.client_required = required;
        self
    }

    /// The protocols to agree to by ALPN, the best first, such as `http/1.1`. A client that offers others only is
    /// refused; one that offers none is not. Default: none, which leaves the offer unanswered.
    pub fn alpn_protocols<P: Into<Vec<u8>>>(
        mut self,
        protocols: impl IntoIterator<Item = P>,
    ) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The least version to agree to. Default: 1.2.
    pub fn min_version(mut self, version: Version) -> Self {
        self.least = version;
        self
    }

    /// The highest version to agree to. Default: 1.3.
    pub fn max_version(mut self, version: Version) -> Self {
        self.most = version;
        self
    }

    /// How many sessions are kept here, for clients that do not take tickets; 0 for none. Default: 256.
    pub fn resumption(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// Whether clients are given their sessions to keep, encrypted with a key that changes every six hours (tickets).
    /// Default: true.
    ///
    /// Data that comes before the handshake is over ("early data", which can be replayed) is never accepted.
    pub fn tickets(mut self, give: bool) -> Self {
        self.tickets = give;
        self
    }

    /// Whether the keys of connections are appended to the file that the environment variable `SSLKEYLOGFILE` names.
    /// Whoever reads it reads the connections. Default: false.
    pub fn key_log(mut self, log: bool) -> Self {
        self.key_log = log;
        self
    }

    /// Builds the acceptor.
    ///
    /// # Errors
    ///
    /// When the identity's key does not belong to its certificate, a root certificate is none, or no version is left.
    pub fn build(self) -> Result<TlsAcceptor, Error> {
        let provider = super::provider();
        let versions = between(self.least, self.most)?;
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_protocol_versions(versions)?;
        let config = if self.client_roots.is_empty() {
            config.with_no_client_auth()
        } else {
            let roots = Arc::new(roots(false, &self.client_roots)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match self.client_required {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build();
            config.with_client_cert_verifier(
                verifier.map_err(|error| Error::setting(error.to_string()))?,
            )
        };
        let Identity { chain, key } = self.identity;
        let mut config = config.with_single_cert(chain, key)?;
        config.alpn_protocols = self.alpn;
        config.session_storage = match self.sessions {
            0 => Arc::new(NoServerSessionStorage {}),
            sessions => ServerSessionMemoryCache::new(sessions),
        };
        if self.tickets {
            config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        }
        if !self.tickets && self.sessions == 0 {
            config.send_tls13_tickets = 0;
        }
        if self.key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsAcceptor {
            config: Arc::new(config),
        })
    }
}
