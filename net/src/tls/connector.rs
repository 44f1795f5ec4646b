//! The client's side: settings, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, KeyLogFile, RootCertStore};

use super::certificate::{Certificate, Identity};
use super::error::Error;
use super::roots::roots;
use super::session::Session;
use super::stream::TlsStream;
use super::version::{Version, between};
use crate::io::{AsyncRead, AsyncWrite};

/// Makes TLS connections to servers (tokio-rustls: the type of the same name). Clones are cheap, and share the sessions
/// that can be resumed.
///
/// ```no_run
/// use heist_net::TcpStream;
/// use heist_net::io::{AsyncReadExt, AsyncWriteExt};
/// use heist_net::tls::TlsConnector;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TlsConnector::new()?;
/// let socket = TcpStream::connect("example.com:443").await?;
/// let mut stream = connector.connect("example.com", socket).await?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n").await?;
/// let mut response = Vec::new();
/// stream.read_to_end(&mut response).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

/// The settings of a [`TlsConnector`].
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until the connector is built"]
pub struct TlsConnectorBuilder {
    roots: Vec<Certificate>,
    built_in_roots: bool,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    least: Version,
    most: Version,
    sni: bool,
    sessions: usize,
    key_log: bool,
    #[cfg(feature = "dangerous")]
    lax: Lax,
}

/// What is not checked.
#[cfg(feature = "dangerous")]
#[derive(Debug, Clone, Copy, Default)]
struct Lax {
    certificates: bool,
    names: bool,
}

impl TlsConnector {
    /// The same with other protocols to agree on.
    #[cfg(feature = "http2")]
    pub(crate) fn with_alpn(&self, protocols: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Self {
            config: Arc::new(config),
        }
    }

    /// A connector with the defaults of its [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As for [`TlsConnectorBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// The settings of a new connector.
    pub fn builder() -> TlsConnectorBuilder {
        TlsConnectorBuilder {
            roots: Vec::new(),
            built_in_roots: true,
            identity: None,
            alpn: Vec::new(),
            least: Version::TLS_1_2,
            most: Version::TLS_1_3,
            sni: true,
            sessions: 256,
            key_log: false,
            #[cfg(feature = "dangerous")]
            lax: Lax::default(),
        }
    }

    /// Makes a connection over `stream` a TLS connection to the server `name`: a host name or an IP address, which its
    /// certificate has to be for.
    ///
    /// It has no time limit of its own; put a [`timeout`](heist_sync::time::timeout()) around it.
    ///
    /// # Errors
    ///
    /// Those of the stream, and [`Error`]s: above all when the certificate is not acceptable. That the server misses a
    /// certificate of the client's comes with the first read in TLS 1.3.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the stream: half a handshake is of no use.
    pub async fn connect<S: AsyncRead + AsyncWrite>(
        &self,
        name: &str,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            Error::setting(format!("`{name}` is neither a host name nor an IP address"))
        })?;
        let session = Session::client(self.config.clone(), server)?;
        let mut stream = TlsStream::new(stream, session);
        stream.handshake().await?;
        Ok(stream)
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl TlsConnectorBuilder {
    /// Trusts what this certificate has issued, besides the other roots.
    pub fn add_root_certificate(mut self, certificate: Certificate) -> Self {
        self.roots.push(certificate);
        self
    }

    /// Whether the roots of the features `native-roots` and `webpki-roots` are trusted. Default: true.
    pub fn built_in_root_certs(mut self, trust: bool) -> Self {
        self.built_in_roots = trust;
        self
    }

    /// Who to be, for servers that ask. Default: nobody.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The protocols to offer by ALPN, the best first, such as `http/1.1`. A server that knows none of them refuses the
    /// connection. Default: none, which offers nothing.
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

    /// Whether the server is told the name that is asked for, in clear, so that it can choose its certificate (SNI).
    /// Default: true.
    pub fn sni(mut self, tell: bool) -> Self {
        self.sni = tell;
        self
    }

    /// How many servers' sessions are kept, so that the next handshake is shorter; 0 for none. Default: 256.
    ///
    /// Data is never sent before the handshake is over ("early data", which can be replayed).
    pub fn resumption(mut self, servers: usize) -> Self {
        self.sessions = servers;
        self
    }

    /// Whether the keys of connections are appended to the file that the environment variable `SSLKEYLOGFILE` names, for
    /// Wireshark and the like. Whoever reads it reads the connections. Default: false.
    pub fn key_log(mut self, log: bool) -> Self {
        self.key_log = log;
        self
    }

    /// Takes any certificate, of whoever sends it: with this, TLS protects against nobody who can touch the connection.
    /// Default: false.
    #[cfg(feature = "dangerous")]
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.lax.certificates = accept;
        self
    }

    /// Takes a good certificate for whatever name: with this, anyone who has one can be any server. Default: false.
    #[cfg(feature = "dangerous")]
    pub fn danger_accept_invalid_hostnames(mut self, accept: bool) -> Self {
        self.lax.names = accept;
        self
    }

    /// Builds the connector.
    ///
    /// With the feature `native-roots` the first one reads the system's certificates, which takes some milliseconds.
    ///
    /// # Errors
    ///
    /// When a root certificate is none, the identity's key does not belong to its certificate, or no version is left.
    pub fn build(self) -> Result<TlsConnector, Error> {
        let provider = super::provider();
        let versions = between(self.least, self.most)?;
        let roots = Arc::new(roots(self.built_in_roots, &self.roots)?);
        let config = ClientConfig::builder_with_provider(provider.clone());
        let config = config.with_protocol_versions(versions)?;
        let config = match self.verifier(&roots, provider)? {
            Some(verifier) => config
                .dangerous()
                .with_custom_certificate_verifier(verifier),
            None => config.with_root_certificates(roots),
        };
        let mut config = match self.identity {
            Some(Identity { chain, key }) => config.with_client_auth_cert(chain, key)?,
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        config.enable_sni = self.sni;
        config.resumption = match self.sessions {
            0 => Resumption::disabled(),
            servers => Resumption::in_memory_sessions(servers),
        };
        if self.key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsConnector {
            config: Arc::new(config),
        })
    }

    /// The verifier in place of the usual one, if that was asked for.
    #[cfg(feature = "dangerous")]
    fn verifier(
        &self,
        roots: &Arc<RootCertStore>,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Option<Arc<dyn rustls::client::danger::ServerCertVerifier>>, Error> {
        if !self.lax.certificates && !self.lax.names {
            return Ok(None);
        }
        let except_names = if self.lax.certificates {
            None
        } else {
            let usual = rustls::client::WebPkiServerVerifier::builder_with_provider(
                roots.clone(),
                provider.clone(),
            );
            let usual = usual.build();
            Some(usual.map_err(|error| Error::setting(error.to_string()))?)
        };
        Ok(Some(Arc::new(super::dangerous::Lax {
            except_names,
            provider,
        })))
    }

    #[cfg(not(feature = "dangerous"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the shape of the other"
    )]
    fn verifier(
        &self,
        _roots: &Arc<RootCertStore>,
        _provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Option<Arc<dyn rustls::client::danger::ServerCertVerifier>>, Error> {
        Ok(None)
    }
}
