//! What is known about one page after the attempt to fetch it.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use heist::net::http;
use serde::{Deserialize, Serialize};

/// The outcome of one page, and one line of the output.
///
/// Serialised with `serde`, in this order of fields:
///
/// ```
/// use heist_crawler::{Failure, FailureKind, Record};
///
/// let record = Record {
///     url: "http://example.org/gone".to_owned(),
///     status: Some(404),
///     content_length: 9,
///     elapsed_ms: 1.25,
///     error: Some(Failure::new(FailureKind::Status, "404 Not Found")),
///     depth: 1,
///     referrer: Some("http://example.org/".to_owned()),
///     redirect: None,
/// };
/// assert_eq!(
///     serde_json::to_string(&record)?,
///     concat!(
///         r#"{"url":"http://example.org/gone","status":404,"content_length":9,"#,
///         r#""elapsed_ms":1.25,"error":"status: 404 Not Found","depth":1,"#,
///         r#""referrer":"http://example.org/","redirect":null}"#,
///     ),
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The address that was fetched, normalised.
    pub url: String,
    /// The status code; absent when no response head arrived.
    pub status: Option<u16>,
    /// Bytes of body that arrived: all of it unless there is an error.
    pub content_length: u64,
    /// Milliseconds from the start of the request to the last byte of the body, connecting
    /// included, with microsecond digits.
    pub elapsed_ms: f64,
    /// Why the page counts as failed; `null` when it was fetched. A redirect is no failure.
    pub error: Option<Failure>,
    /// Links between the nearest seed and this page.
    pub depth: u32,
    /// The page that linked here; `null` for a seed.
    pub referrer: Option<String>,
    /// Where the server redirected to; the target has a record of its own if it was crawled.
    #[serde(default)]
    pub redirect: Option<String>,
}

/// Why a page failed: a kind to count by, and a sentence for people.
///
/// Its text form is `kind: message`, which is also how it is serialised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Failure {
    kind: FailureKind,
    message: String,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The kind, for counting.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The sentence, without the kind.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&http::Error> for Failure {
    fn from(error: &http::Error) -> Self {
        // A time-out can strike in any phase and an unknown host is found while connecting, so
        // the more telling predicates come first.
        let kind = if error.is_timeout() {
            FailureKind::Timeout
        } else if error.is_resolve() {
            FailureKind::Resolve
        } else if error.is_connect() {
            FailureKind::Connect
        } else if error.is_builder() {
            FailureKind::Request
        } else if error.is_redirect() {
            FailureKind::Redirect
        } else if error.is_body() {
            FailureKind::Body
        } else {
            FailureKind::Protocol
        };
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self { kind, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl Error for Failure {}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.to_string()
    }
}

impl TryFrom<String> for Failure {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, UnknownKind> {
        let (kind, message) = text.split_once(": ").unwrap_or((&text, ""));
        Ok(Self::new(kind.parse()?, message))
    }
}

/// The kinds of failure, in the order in which a fetch can meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureKind {
    /// The request could not be made: the client does not speak the scheme, for instance.
    Request,
    /// The host's name has no address.
    Resolve,
    /// No connection: refused, unreachable, or the TLS handshake failed.
    Connect,
    /// The page was not complete when its time was up.
    Timeout,
    /// The server answered something that is not HTTP.
    Protocol,
    /// The status says that the page is not there or cannot be had.
    Status,
    /// Too many redirects in a row, or one that leads nowhere.
    Redirect,
    /// The body broke off or could not be decoded.
    Body,
    /// The body is larger than the crawl allows.
    TooLarge,
    /// The site does not want the page to be fetched (`robots.txt`), and it was not.
    Robots,
    /// The crawl's limit of bytes was reached in the middle of the page.
    Limit,
    /// The crawl was stopped while the page was under way.
    Cancelled,
    /// The crawler itself failed on this page: a bug worth reporting.
    Internal,
}

impl FailureKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 13] = [
        Self::Request,
        Self::Resolve,
        Self::Connect,
        Self::Timeout,
        Self::Protocol,
        Self::Status,
        Self::Redirect,
        Self::Body,
        Self::TooLarge,
        Self::Robots,
        Self::Limit,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The word that stands for the kind in records and summaries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Status => "status",
            Self::Redirect => "redirect",
            Self::Body => "body",
            Self::TooLarge => "too-large",
            Self::Robots => "robots",
            Self::Limit => "limit",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FailureKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind {
                text: text.to_owned(),
            })
    }
}

/// A word that names no [`FailureKind`].
#[derive(Debug, Clone)]
pub struct UnknownKind {
    text: String,
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no kind of failure", self.text)
    }
}

impl Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_round_trip() {
        for kind in FailureKind::ALL {
            let record = Record {
                url: "http://example.org/\"quoted\"\n".to_owned(),
                status: None,
                content_length: u64::MAX,
                elapsed_ms: 0.001,
                error: Some(Failure::new(kind, "a: b: c")),
                depth: 3,
                referrer: None,
                redirect: Some("http://example.org/x".to_owned()),
            };
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.contains('\n'), "one record is one line: {line}");
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let error = Failure::try_from("gremlins: many".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "`gremlins` is no kind of failure");
    }

    #[test]
    fn a_missing_redirect_reads_as_none() {
        let line = r#"{"url":"u","status":200,"content_length":1,"elapsed_ms":1.0,
            "error":null,"depth":0,"referrer":null}"#;
        assert_eq!(serde_json::from_str::<Record>(line).unwrap().redirect, None);
    }
}
