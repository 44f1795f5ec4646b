//! What a client's builder has to say about TLS.

use super::builder::ClientBuilder;
use super::error::{Error, Phase};
use crate::tls::{self, Certificate, Identity, TlsConnector, TlsConnectorBuilder};

/// The settings to begin with.
pub(super) fn settings() -> TlsConnectorBuilder {
    // Servers that speak something else besides are told what this client speaks.
    TlsConnector::builder().alpn_protocols(["http/1.1"])
}

pub(super) fn build(settings: TlsConnectorBuilder) -> Result<TlsConnector, Error> {
    let refused = |error: tls::Error| Error::source(Phase::Build, error);
    settings.build().map_err(refused)
}

/// The same connector for those requests that may be sent as HTTP/2.
#[cfg(feature = "http2")]
pub(super) fn with_http2(tls: &TlsConnector, mode: super::h2::Mode) -> TlsConnector {
    match mode {
        super::h2::Mode::Agreed => tls.with_alpn(&[b"h2", b"http/1.1"]),
        super::h2::Mode::Always => tls.with_alpn(&[b"h2"]),
        super::h2::Mode::Never => tls.clone(),
    }
}

/// # TLS (feature `tls`)
///
/// Servers are believed whose certificate is for the host of the URL and leads to a root that is trusted: those of the
/// features `native-roots` and `webpki-roots`, and those that are added.
///
/// A connection that the client closes, such as one that was idle for too long, is dropped without `close_notify`
/// (other than RFC 9112, section 9.8, asks for).
impl ClientBuilder {
    /// Trusts what this certificate has issued, besides the other roots.
    pub fn add_root_certificate(self, certificate: Certificate) -> Self {
        self.change(|tls| tls.add_root_certificate(certificate))
    }

    /// Whether the roots of the features `native-roots` and `webpki-roots` are trusted. Default: true.
    pub fn tls_built_in_root_certs(self, trust: bool) -> Self {
        self.change(|tls| tls.built_in_root_certs(trust))
    }

    /// Who the client is, for servers that ask. Default: nobody.
    pub fn identity(self, identity: Identity) -> Self {
        self.change(|tls| tls.identity(identity))
    }

    /// Refuses URLs and redirects of any other scheme than `https`. Default: false.
    pub fn https_only(mut self, only: bool) -> Self {
        self.https_only = only;
        self
    }

    /// The least version of TLS to agree to. Default: 1.2.
    pub fn min_tls_version(self, version: tls::Version) -> Self {
        self.change(|tls| tls.min_version(version))
    }

    /// The highest version of TLS to agree to. Default: 1.3.
    pub fn max_tls_version(self, version: tls::Version) -> Self {
        self.change(|tls| tls.max_version(version))
    }

    /// Whether servers are told the name that is asked for, in clear, so that they can choose their certificate (SNI).
    /// Default: true.
    pub fn tls_sni(self, tell: bool) -> Self {
        self.change(|tls| tls.sni(tell))
    }

    /// Whether the keys of connections are appended to the file that the environment variable `SSLKEYLOGFILE` names, for
    /// Wireshark and the like. Whoever reads it reads the connections. Default: false. (Not in reqwest.)
    pub fn tls_key_log(self, log: bool) -> Self {
        self.change(|tls| tls.key_log(log))
    }

    /// Takes any certificate, of whoever sends it: with this, TLS protects against nobody who can touch the connection.
    /// Default: false.
    #[cfg(feature = "dangerous")]
    pub fn danger_accept_invalid_certs(self, accept: bool) -> Self {
        self.change(|tls| tls.danger_accept_invalid_certs(accept))
    }

    /// Takes a good certificate for whatever host: with this, anyone who has one can be any server. Default: false.
    #[cfg(feature = "dangerous")]
    pub fn danger_accept_invalid_hostnames(self, accept: bool) -> Self {
        self.change(|tls| tls.danger_accept_invalid_hostnames(accept))
    }

    fn change(mut self, change: impl FnOnce(TlsConnectorBuilder) -> TlsConnectorBuilder) -> Self {
        self.tls = change(self.tls);
        self
    }
}
