//! Certificates and keys.

use std::fmt;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Error;

/// One X.509 certificate ([RFC 5280]), which is looked at when it is used.
///
/// [RFC 5280]: https://www.rfc-editor.org/rfc/rfc5280
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub(super) der: CertificateDer<'static>,
}

impl Certificate {
    /// A certificate in DER.
    ///
    /// # Errors
    ///
    /// When it is no certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let der = CertificateDer::from(der.to_vec());
        // Whoever adds a root that is none shall hear of it here, and not of an unknown issuer later.
        rustls::server::ParsedCertificate::try_from(&der)?;
        Ok(Self { der })
    }

    /// The first certificate of a PEM file's text ([RFC 7468]).
    ///
    /// # Errors
    ///
    /// When there is none, or it is malformed.
    ///
    /// [RFC 7468]: https://www.rfc-editor.org/rfc/rfc7468
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let first = Self::from_pem_bundle(pem)?.into_iter().next();
        first.ok_or_else(no_certificate)
    }

    /// All certificates of a PEM file's text.
    ///
    /// # Errors
    ///
    /// When one is malformed.
    pub fn from_pem_bundle(pem: &[u8]) -> Result<Vec<Self>, Error> {
        let ders = CertificateDer::pem_slice_iter(pem);
        ders.map(|der| Self::from_der(&der.map_err(|error| malformed(&error))?))
            .collect()
    }

    /// The certificate in DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// A certificate with its private key, and those of its issuers that the peer may not know: who one is.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From a PEM text with a private key (PKCS#8, PKCS#1 or SEC1) and the certificates, one's own first.
    ///
    /// # Errors
    ///
    /// When either is missing or malformed. Whether they belong together is seen when it is used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        Self::from_pem_parts(pem, pem)
    }

    /// As [`from_pem`](Self::from_pem), with certificates and key apart, as servers have them.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_pem_parts(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain: Vec<_> = Certificate::from_pem_bundle(certificates)?
            .into_iter()
            .map(|certificate| certificate.der)
            .collect();
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| malformed(&error))?;
        Ok(Self { chain, key })
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn no_certificate() -> Error {
    Error::setting("the PEM text has no certificate in it")
}

fn malformed(error: &rustls::pki_types::pem::Error) -> Error {
    Error::setting(format!("the PEM text is of no use: {error}"))
}
