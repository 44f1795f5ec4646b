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
}

impl BuildError {
    pub(crate) fn client(error: http::Error) -> Self {
        Self(Fault::Client(error))
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
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Fault::Client(error) => Some(error),
            Fault::Journal(_, error) => Some(error),
        }
    }
}
