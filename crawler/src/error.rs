//! Why a crawl cannot be made.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use heist::net::http;

/// A crawl that cannot be made.
#[derive(Debug)]
pub struct BuildError(Fault);

#[derive(Debug)]
enum Fault {
    Client(http::Error),
    Journal(PathBuf, io::Error),
    Frontier(&'static str),
}

impl BuildError {
    pub(crate) fn client(error: http::Error) -> Self {
        Self(Fault::Client(error))
    }

    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "without Redis no frontier is shared")
    )]
    pub(crate) fn frontier(reason: &'static str) -> Self {
        Self(Fault::Frontier(reason))
    }

    pub(crate) fn journal(path: PathBuf, error: io::Error) -> Self {
        Self(Fault::Journal(path, error))
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::Client(error) => error.fmt(f),
            Fault::Journal(path, error) => {
                write!(f, "cannot use the journal `{}`: {error}", path.display())
            }
            Fault::Frontier(reason) => f.write_str(reason),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Fault::Client(error) => Some(error),
            Fault::Journal(_, error) => Some(error),
            Fault::Frontier(_) => None,
        }
    }
}
