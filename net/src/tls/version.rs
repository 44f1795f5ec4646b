//! Versions of TLS.

use std::fmt;

use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

use super::error::Error;

/// A version of TLS. Older ones than 1.2 are not supported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Known);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Known {
    Tls12,
    Tls13,
}

impl Version {
    /// [RFC 5246](https://www.rfc-editor.org/rfc/rfc5246).
    pub const TLS_1_2: Self = Self(Known::Tls12);
    /// [RFC 8446](https://www.rfc-editor.org/rfc/rfc8446).
    pub const TLS_1_3: Self = Self(Known::Tls13);

    pub(super) fn of(version: ProtocolVersion) -> Option<Self> {
        match version {
            ProtocolVersion::TLSv1_2 => Some(Self::TLS_1_2),
            ProtocolVersion::TLSv1_3 => Some(Self::TLS_1_3),
            _ => None,
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Known::Tls12 => "TLS 1.2",
            Known::Tls13 => "TLS 1.3",
        })
    }
}

/// The versions from `least` to `most`.
pub(super) fn between(
    least: Version,
    most: Version,
) -> Result<&'static [&'static SupportedProtocolVersion], Error> {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match (least.0, most.0) {
        (Known::Tls12, Known::Tls13) => Ok(&BOTH),
        (Known::Tls12, Known::Tls12) => Ok(&BOTH[1..]),
        (Known::Tls13, Known::Tls13) => Ok(&BOTH[..1]),
        (Known::Tls13, Known::Tls12) => Err(Error::setting(
            "the least version allowed is above the highest",
        )),
    }
}
