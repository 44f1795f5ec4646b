//! TLS on the way to the frontier: whom we trust, who we are, and what it means when that does not work.

use std::io;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisError, RedisResult};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError};

/// Certificates for a server that speaks TLS.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    roots: Option<Vec<u8>>,
    client: Option<ClientTlsConfig>,
}

impl Certificates {
    /// Trusts these, in PEM, and no others.
    pub(super) fn trust(&mut self, pem: Vec<u8>) -> io::Result<()> {
        check_certificates(&pem)?;
        self.roots = Some(pem);
        Ok(())
    }

    /// Shows this chain, with this key, both in PEM.
    pub(super) fn show(&mut self, client_cert: Vec<u8>, client_key: Vec<u8>) -> io::Result<()> {
        check_certificates(&client_cert)?;
        PrivateKeyDer::from_pem_slice(&client_key)
            .map_err(|error| invalid(format!("no private key in PEM ({error})")))?;
        self.client = Some(ClientTlsConfig {
            client_cert,
            client_key,
        });
        Ok(())
    }

    /// A client for a server, which need not speak TLS.
    pub(super) fn client(&self, server: &ConnectionInfo) -> RedisResult<Client> {
        if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            return Client::open(server.clone());
        }
        // The library takes what the process has, and panics if there are several to choose from and none is chosen.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever was faster has chosen as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let certificates = redis::TlsCertificates {
            client_tls: self.client.clone(),
            root_cert: self.roots.clone(),
        };
        Client::build_with_tls(server.clone(), certificates)
    }
}

fn check_certificates(pem: &[u8]) -> io::Result<()> {
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    match certificates.find_map(Result::err) {
        Some(error) => Err(invalid(format!("no certificates in PEM ({error})"))),
        None if CertificateDer::pem_slice_iter(pem).next().is_none() => {
            Err(invalid("there is no certificate in PEM in it".to_owned()))
        }
        None => Ok(()),
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What is wrong with the certificates, and what to do; `None` when it is something else.
pub(super) fn explain(error: &RedisError) -> Option<io::Error> {
    let cause = super::trouble::cause(error)?;
    let inner = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let error = match cause.downcast_ref::<rustls::Error>() {
        Some(error) => error,
        None => inner?.downcast_ref::<rustls::Error>()?,
    };
    let remedy = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "use the name in the URL that is in the certificate",
        rustls::Error::InvalidCertificate(_) => {
            "name its authority with `frontier-ca` if it is a private one"
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => {
            "the server wants a certificate of ours that it trusts: `frontier-cert` and `frontier-key`"
        }
        rustls::Error::InvalidMessage(_) => "is that its port for TLS? Without TLS it is redis://",
        _ => return None,
    };
    Some(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("no TLS with the server: {error}; {remedy}"),
    ))
}
