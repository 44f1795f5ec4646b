//! What goes wrong in TLS, in words that say what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Why TLS failed. As the inner error of an [`io::Error`] it comes from handshakes, reads and writes; there
/// [`of`](Self::of) finds it.
///
/// The message names the cause and a remedy. Programs ask the `is_*` predicates.
#[derive(Debug, Clone)]
pub struct Error {
    what: What,
    /// More about it, for the message.
    detail: String,
}

/// The causes that have a message of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Expired,
    NotYetValid,
    WrongName,
    UnknownIssuer,
    BadCertificate,
    NoClientCertificate,
    ClientCertificateWanted,
    Refused,
    NothingInCommon,
    NotTls,
    BrokenRules,
    Truncated,
    Setting,
}

impl Error {
    /// The TLS error inside an I/O error, if there is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// A setting, certificate or key that is of no use.
    pub(super) fn setting(detail: impl Into<String>) -> Self {
        Self {
            what: What::Setting,
            detail: detail.into(),
        }
    }

    /// The connection ended without a word.
    pub(super) fn truncated() -> Self {
        Self {
            what: What::Truncated,
            detail: String::new(),
        }
    }

    /// Whether the peer's certificate is not acceptable: one of the next four, or otherwise wrong.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(
            self.what,
            What::Expired
                | What::NotYetValid
                | What::WrongName
                | What::UnknownIssuer
                | What::BadCertificate
        )
    }

    /// Whether the peer's certificate has expired.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.what == What::Expired
    }

    /// Whether the peer's certificate is not valid yet.
    #[must_use]
    pub fn is_not_yet_valid(&self) -> bool {
        self.what == What::NotYetValid
    }

    /// Whether the peer's certificate is for other names.
    #[must_use]
    pub fn is_wrong_name(&self) -> bool {
        self.what == What::WrongName
    }

    /// Whether the peer's certificate leads to no issuer that is trusted.
    #[must_use]
    pub fn is_unknown_issuer(&self) -> bool {
        self.what == What::UnknownIssuer
    }

    /// Whether the server wants a certificate of the client and has got none, on whichever side it is noticed.
    ///
    /// A TLS 1.2 server may say no more than that the handshake failed, and then this is `false`.
    #[must_use]
    pub fn is_client_certificate_missing(&self) -> bool {
        matches!(
            self.what,
            What::NoClientCertificate | What::ClientCertificateWanted
        )
    }

    /// Whether the peer has refused the connection, by an alert.
    #[must_use]
    pub fn is_refused_by_peer(&self) -> bool {
        matches!(self.what, What::Refused | What::ClientCertificateWanted)
    }

    /// Whether what the peer sends is not TLS.
    #[must_use]
    pub fn is_not_tls(&self) -> bool {
        self.what == What::NotTls
    }

    /// Whether the connection ended without the alert that TLS ends with (`close_notify`): what has come may be cut
    /// short by somebody on the way. The kind of the I/O error around it is `UnexpectedEof`.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.what == What::Truncated
    }

    /// Whether this end was set up wrongly.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        self.what == What::Setting
    }

    fn text(&self) -> &'static str {
        match self.what {
            What::Expired => "the peer's certificate has expired",
            What::NotYetValid => "the peer's certificate is not valid yet",
            What::WrongName => "the peer's certificate is for other names",
            What::UnknownIssuer => "the peer's certificate has no issuer that is trusted",
            What::BadCertificate => "the peer's certificate is not acceptable",
            What::NoClientCertificate => "the client has sent no certificate",
            What::ClientCertificateWanted => "the server wants a certificate of the client",
            What::Refused => "the peer has refused the connection",
            What::NothingInCommon => "the two ends have no way of TLS in common",
            What::NotTls => "the peer does not speak TLS",
            What::BrokenRules => "the peer breaks the rules of TLS",
            What::Truncated => "the connection ended without TLS's close_notify",
            What::Setting => "TLS is set up wrongly",
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match self.what {
            What::Expired | What::NotYetValid => {
                "the certificate has to be renewed, unless the clock of this machine is wrong"
            }
            What::WrongName => "connect by a name that the certificate is for",
            What::UnknownIssuer
                if cfg!(any(feature = "native-roots", feature = "webpki-roots")) =>
            {
                "if it is to be trusted, add its issuer as a root certificate; the server may \
                 also have left out the certificates in between"
            }
            What::UnknownIssuer => {
                "if it is to be trusted, add its issuer as a root certificate, or compile with \
                 the feature `native-roots` or `webpki-roots`"
            }
            What::NoClientCertificate | What::ClientCertificateWanted => {
                "the client has to be built with an `identity`"
            }
            What::NotTls => "check the port, and whether this one is for TLS",
            What::Truncated => "take what has come for incomplete, and try again",
            What::BadCertificate
            | What::Refused
            | What::NothingInCommon
            | What::BrokenRules
            | What::Setting => return None,
        })
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        let (what, detail) = match &error {
            rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
            rustls::Error::NoCertificatesPresented => (What::NoClientCertificate, String::new()),
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                (What::ClientCertificateWanted, String::new())
            }
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
                (What::NothingInCommon, "it knows other versions".to_owned())
            }
            rustls::Error::AlertReceived(alert) => (What::Refused, format!("alert {alert:?}")),
            rustls::Error::PeerIncompatible(why) => (What::NothingInCommon, format!("{why:?}")),
            rustls::Error::NoApplicationProtocol => {
                (What::NothingInCommon, "no protocol of ALPN".to_owned())
            }
            rustls::Error::InvalidMessage(
                why @ (InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge),
            ) => (What::NotTls, format!("{why:?}")),
            rustls::Error::InconsistentKeys(_) => (What::Setting, error.to_string()),
            other => (What::BrokenRules, other.to_string()),
        };
        Self { what, detail }
    }
}

fn of_certificate(error: &CertificateError) -> (What, String) {
    let seconds = |later: rustls::pki_types::UnixTime, sooner: rustls::pki_types::UnixTime| {
        let seconds = later.as_secs().saturating_sub(sooner.as_secs());
        match seconds {
            0..3_600 => format!("{seconds} seconds"),
            3_600..172_800 => format!("{} hours", seconds / 3_600),
            _ => format!("{} days", seconds / 86_400),
        }
    };
    match error {
        CertificateError::Expired => (What::Expired, String::new()),
        CertificateError::ExpiredContext { time, not_after } => {
            (What::Expired, format!("{} ago", seconds(*time, *not_after)))
        }
        CertificateError::NotValidYet => (What::NotYetValid, String::new()),
        CertificateError::NotValidYetContext { time, not_before } => {
            let wait = seconds(*not_before, *time);
            (What::NotYetValid, format!("it will be in {wait}"))
        }
        CertificateError::NotValidForName => (What::WrongName, String::new()),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            // A certificate may have hundreds.
            let some: Vec<_> = presented.iter().take(5).map(|name| bare(name)).collect();
            let more = if presented.len() > some.len() {
                ", ..."
            } else {
                ""
            };
            let expected = expected.to_str();
            let detail = format!("{}{more}, and not for {expected}", some.join(", "));
            (What::WrongName, detail)
        }
        CertificateError::UnknownIssuer => (What::UnknownIssuer, String::new()),
        other => (What::BadCertificate, other.to_string()),
    }
}

/// The name itself, of one such as `DnsName("a.test")`.
fn bare(name: &str) -> &str {
    let quoted = name
        .split_once('"')
        .and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(name, |(name, _)| name)
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.what {
            What::Truncated => io::ErrorKind::UnexpectedEof,
            What::Setting => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_cause_and_remedy() {
        let error = Error::from(rustls::Error::NoCertificatesPresented);
        assert_eq!(
            error.to_string(),
            "the client has sent no certificate; the client has to be built with an `identity`"
        );
        let wrong = CertificateError::NotValidForNameContext {
            expected: "a.test".try_into().unwrap(),
            presented: (0..9).map(|n| format!("DnsName(\"n{n}\")")).collect(),
        };
        let text = Error::from(rustls::Error::InvalidCertificate(wrong)).to_string();
        assert!(
            text.contains(": n0, n1, n2, n3, n4, ..., and not for a.test;"),
            "{text}"
        );
    }

    #[test]
    fn it_is_found_inside_an_io_error() {
        let error = io::Error::from(Error::truncated());
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(Error::of(&error).is_some_and(Error::is_truncated));
        assert!(Error::of(&io::ErrorKind::NotFound.into()).is_none());
    }
}
