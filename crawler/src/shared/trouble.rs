//! What an error of the server means, and whether to try again.

use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::link::Trouble;

/// What an error says. The library's own words repeat themselves, and know little of what to do.
pub(super) fn describe(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.to_string(),
    }
}

pub(super) fn nonsense() -> Trouble {
    Trouble::Final(io::Error::new(
        io::ErrorKind::InvalidData,
        "the server answers something that the scripts of a frontier do not; is it Redis?",
    ))
}

/// What is behind an error. The library has it in an `Arc`, which is an error as well.
pub(super) fn cause(error: &RedisError) -> Option<&(dyn std::error::Error + 'static)> {
    let source = std::error::Error::source(error)?;
    match source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>() {
        Some(shared) => Some(&**shared),
        None => Some(source),
    }
}

/// Whether to try again.
pub(super) fn trouble(error: &RedisError) -> Trouble {
    let text = describe(error);
    let passing = |text: String| Trouble::Passing(io::Error::other(text));
    let refused =
        |text: String| Trouble::Final(io::Error::new(io::ErrorKind::PermissionDenied, text));
    let fault = |text: String| Trouble::Final(io::Error::new(io::ErrorKind::InvalidInput, text));
    match error.code() {
        Some("GONE") => return Trouble::Gone,
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => {
            return refused(format!(
                "the server refuses us: {text}; give user and password in the URL"
            ));
        }
        Some("VERSION") => {
            return fault(format!(
                "another version of the program has begun this crawl (its keys are of version {text}); use another name"
            ));
        }
        Some("ALIVE") => {
            return Trouble::Final(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "crawlers are at work on it ({text}); stop them, and wait for the lease of those that were killed"
                ),
            ));
        }
        Some("FOREIGN") => return fault(format!("{text}; use another name")),
        Some("LIMITS") => {
            let (name, theirs) = text.split_once(' ').unwrap_or((&text, "?"));
            let flag = match name {
                "pages" => "max-pages",
                "per_host" => "max-pages-per-host",
                "bytes" => "max-bytes",
                _ => "max-depth",
            };
            let theirs = if theirs == "-1" { "no limit" } else { theirs };
            return fault(format!(
                "the crawlers at work have another `{flag}` ({theirs}): give all of them the same, or use another name"
            ));
        }
        Some("LEVELS") => {
            return fault(
                "this crawl was begun with a limit of depth and cannot go on without, or the other way round; \
                 use another name"
                    .to_owned(),
            );
        }
        // What passes by itself, or when somebody comes to help.
        Some(
            "LOADING" | "BUSY" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN"
            | "NOSCRIPT" | "OOM" | "MISCONF" | "NOREPLICAS" | "UNKILLABLE",
        ) => return passing(error.to_string()),
        _ => {}
    }
    #[cfg(feature = "https")]
    if let Some(error) = super::tls::explain(error) {
        return Trouble::Final(error);
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            refused("the server refuses the user or the password of the URL".to_owned())
        }
        ErrorKind::Io | ErrorKind::Parse => {
            let kind = cause(error).and_then(|cause| cause.downcast_ref::<io::Error>());
            let kind = kind.map_or(io::ErrorKind::Other, io::Error::kind);
            let text = match kind {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    "it does not answer in time; is that Redis, with TLS if the URL says so?"
                        .to_owned()
                }
                _ => error.to_string(),
            };
            Trouble::Passing(io::Error::new(kind, text))
        }
        _ => Trouble::Final(io::Error::other(error.to_string())),
    }
}
