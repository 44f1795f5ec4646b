//! What the caller of a client sees of one response.

use heist_net::http::h1;
use http::HeaderMap;

/// A response as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) head: Option<Head>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) end: End,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) version: http::Version,
    pub(crate) headers: HeaderMap,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum End {
    /// It did not: more bytes are needed.
    #[default]
    Waiting,
    Complete {
        reusable: bool,
    },
    Error(Fault),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Ours(h1::Error),
    Theirs(String),
}
