//! Why a name has no address, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
#[cfg(feature = "dns")]
use std::time::Duration;

/// Why a name could not be resolved.
///
/// The message names the cause and a remedy; programs ask the `is_*` predicates. Clones share the cause. As an
/// [`io::Error`] it keeps its message and has the kind that fits best.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    name: Box<str>,
    kind: Kind,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Kind {
    /// No name at all; what is wrong with it.
    InvalidName(&'static str),
    /// Special names, of which no server is to hear.
    NeverAsked,
    /// The name does not exist.
    NoSuchName,
    /// The name exists, without an address.
    NoAddress,
    /// A server could not find out.
    ServerFailure,
    /// A server does not want to answer us.
    #[cfg(feature = "dns")]
    Refused,
    /// Nobody answered in this time.
    #[cfg(feature = "dns")]
    TimedOut(Duration),
    /// The answers were not understood.
    #[cfg(feature = "dns")]
    Malformed(Box<str>),
    /// The servers could not be asked, or the system's resolver failed.
    Io(io::Error),
    /// The resolver is set up wrongly; what is wrong.
    #[cfg(feature = "dns")]
    Config(Box<str>),
    /// Whoever looked it up for several has gone.
    Lost,
}

impl Error {
    pub(super) fn new(name: impl Into<Box<str>>, kind: Kind) -> Self {
        let name = name.into();
        Self {
            inner: Arc::new(Inner { name, kind }),
        }
    }

    #[cfg(feature = "dns")]
    pub(super) fn kind(&self) -> &Kind {
        &self.inner.kind
    }

    /// The name that was looked up.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether the text is no name of a host at all.
    #[must_use]
    pub fn is_invalid_name(&self) -> bool {
        matches!(self.inner.kind, Kind::InvalidName(_))
    }

    /// Whether it is known that there is no address: the name does not exist (NXDOMAIN), or has none.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.inner.kind,
            Kind::NoSuchName | Kind::NoAddress | Kind::NeverAsked
        )
    }

    /// Whether the name does not exist (NXDOMAIN).
    #[must_use]
    pub fn is_no_such_name(&self) -> bool {
        matches!(self.inner.kind, Kind::NoSuchName | Kind::NeverAsked)
    }

    /// Whether a server said that it failed (SERVFAIL).
    #[must_use]
    pub fn is_server_failure(&self) -> bool {
        matches!(self.inner.kind, Kind::ServerFailure)
    }

    /// Whether a server refused to answer (REFUSED).
    #[must_use]
    pub fn is_refused(&self) -> bool {
        #[cfg(feature = "dns")]
        return matches!(self.inner.kind, Kind::Refused);
        #[cfg(not(feature = "dns"))]
        false
    }

    /// Whether no server answered in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match &self.inner.kind {
            #[cfg(feature = "dns")]
            Kind::TimedOut(_) => true,
            Kind::Io(error) => error.kind() == io::ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// Whether the resolver is set up wrongly.
    #[must_use]
    pub fn is_config(&self) -> bool {
        #[cfg(feature = "dns")]
        return matches!(self.inner.kind, Kind::Config(_));
        #[cfg(not(feature = "dns"))]
        false
    }

    fn io_kind(&self) -> io::ErrorKind {
        match &self.inner.kind {
            Kind::InvalidName(_) => io::ErrorKind::InvalidInput,
            Kind::NeverAsked | Kind::NoSuchName | Kind::NoAddress => io::ErrorKind::NotFound,
            #[cfg(feature = "dns")]
            Kind::TimedOut(_) => io::ErrorKind::TimedOut,
            #[cfg(feature = "dns")]
            Kind::Malformed(_) => io::ErrorKind::InvalidData,
            #[cfg(feature = "dns")]
            Kind::Config(_) => io::ErrorKind::InvalidInput,
            Kind::Io(error) => error.kind(),
            #[cfg(feature = "dns")]
            Kind::Refused => io::ErrorKind::Other,
            Kind::ServerFailure | Kind::Lost => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &*self.inner.name;
        match &self.inner.kind {
            // What is no name may have any length, and anything in it.
            Kind::InvalidName(why) => {
                let start: String = name.chars().take(80).collect();
                write!(f, "{start:?} is not the name of a host: {why}")
            }
            Kind::NeverAsked => write!(
                f,
                "\"{name}\" has no address by definition, and no server was asked; use another name, or a proxy that \
                 knows it"
            ),
            Kind::NoSuchName => write!(
                f,
                "there is no host \"{name}\" (NXDOMAIN); check the spelling, and the search domains if it is short"
            ),
            Kind::NoAddress => write!(
                f,
                "\"{name}\" exists but has no address; check which records it has"
            ),
            Kind::ServerFailure => write!(
                f,
                "the name servers could not find out the address of \"{name}\" (SERVFAIL or \"temporary failure\"); \
                 try again later, and check that they reach the internet"
            ),
            #[cfg(feature = "dns")]
            Kind::Refused => write!(
                f,
                "the name servers refuse to look up \"{name}\" (REFUSED); use servers that serve this machine"
            ),
            #[cfg(feature = "dns")]
            Kind::TimedOut(after) => write!(
                f,
                "no name server answered within {after:?} for \"{name}\"; check the servers' addresses and the network"
            ),
            #[cfg(feature = "dns")]
            Kind::Malformed(what) => write!(
                f,
                "the name servers' answer for \"{name}\" makes no sense: {what}; try other servers"
            ),
            Kind::Io(error) => write!(
                f,
                "the resolver failed for \"{name}\": {error}; check the resolver's configuration and the network"
            ),
            #[cfg(feature = "dns")]
            Kind::Config(what) => write!(f, "the resolver is set up wrongly: {what}"),
            Kind::Lost => write!(
                f,
                "the lookup of \"{name}\" ended with the runtime that it ran on; look it up on one that goes on"
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("name", &self.inner.name)
            .field("kind", &self.inner.kind)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.kind {
            Kind::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}
