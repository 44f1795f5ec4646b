//! Decides where a body ends and whether the connection survives it ([RFC 9112, section 6.3]).
//!
//! This is the file that response smuggling would have to get past. Every ambiguity either fails
//! the exchange or at least keeps the connection from being used again.
//!
//! [RFC 9112, section 6.3]: https://www.rfc-editor.org/rfc/rfc9112#section-6.3

use http::{StatusCode, Version};

use super::Error;
use super::encode::Asked;

/// Where the body of a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// There is no body, whatever the headers say.
    None,
    /// After this many bytes.
    Exactly(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// Where the server closes the connection.
    UntilClose,
    /// Never: what follows is another protocol.
    Tunnel,
}

/// The decision about one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    /// Where the body ends.
    pub(super) length: BodyLength,
    /// Whether another request may follow once the body has ended.
    pub(super) reusable: bool,
}

/// What the headers of one response say about its framing, gathered line by line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FramingHeaders {
    content_length: Option<u64>,
    /// The first thing wrong with `Content-Length`; it matters only if nothing overrides it.
    content_length_error: Option<Error>,
    has_content_length: bool,
    codings: Codings,
    close: bool,
    keep_alive: bool,
}

/// The transfer codings of all `Transfer-Encoding` lines taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Codings {
    present: bool,
    malformed: bool,
    chunked: u32,
    /// Codings other than `chunked`.
    others: u32,
    ends_in_chunked: bool,
}

impl FramingHeaders {
    /// Takes note of one header line. Names that do not matter are told apart by their length.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            10 if is(name, b"Connection") => self.note_connection(value),
            14 if is(name, b"Content-Length") => self.note_content_length(value),
            17 if is(name, b"Transfer-Encoding") => self.codings.note(value),
            _ => {}
        }
    }

    /// Whether the body had a coding other than `chunked` applied, which nobody asked for and this
    /// client does not remove.
    pub(super) fn has_other_coding(&self) -> bool {
        self.codings.others > 0
    }

    /// The announced length, if there is exactly one meaning to it and no coding overrides it.
    pub(super) fn content_length(&self) -> Option<u64> {
        if self.codings.present || self.content_length_error.is_some() {
            return None;
        }
        self.content_length
    }

    fn note_connection(&mut self, value: &[u8]) {
        // What nearly every server says.
        if value == b"keep-alive" {
            self.keep_alive = true;
            return;
        }
        for_each_token(value, |token| {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        });
    }

    fn note_content_length(&mut self, value: &[u8]) {
        self.has_content_length = true;
        // A list is a repeated header that somebody merged; every member counts. An empty member
        // is not a number, so it fails like any other nonsense.
        for member in value.split(|&b| b == b',') {
            let error = match (parse_decimal(trim(member)), self.content_length) {
                (None, _) => Error::InvalidContentLength,
                (Some(new), Some(old)) if new != old => Error::ConflictingContentLength,
                (new, _) => {
                    self.content_length = new;
                    continue;
                }
            };
            self.content_length_error.get_or_insert(error);
        }
    }

    /// Applies the rules in their order of precedence.
    pub(super) fn decide(
        &self,
        asked: Asked,
        status: StatusCode,
        version: Version,
    ) -> Result<Framing, Error> {
        let http10 = version == Version::HTTP_10;
        let persistent = !self.close && !asked.close && (!http10 || self.keep_alive);
        let switched = status == StatusCode::SWITCHING_PROTOCOLS;
        // Also a 204: whoever sends one to CONNECT believes that the connection is a tunnel now.
        if switched || (asked.connect && status.is_success()) {
            return Ok(Framing {
                length: BodyLength::Tunnel,
                reusable: false,
            });
        }
        let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        if asked.head || status.is_informational() || bodiless {
            // A 204 that announces a body will probably send one, late enough to be taken for the
            // next response.
            let announces_body = self.codings.present || self.content_length.unwrap_or(0) > 0;
            let suspicious = (status == StatusCode::NO_CONTENT && announces_body)
                || (self.codings.present && (http10 || self.has_content_length))
                || self.content_length_error.is_some();
            let reusable = persistent && !suspicious;
            return Ok(Framing {
                length: BodyLength::None,
                reusable,
            });
        }
        if self.codings.present {
            if http10 {
                return Err(Error::TransferEncodingInHttp10);
            }
            return if self.codings.are_chunked()? {
                // Whoever disagrees about which of the two headers counts would also disagree
                // about where the next response begins.
                let reusable = persistent && !self.has_content_length;
                Ok(Framing {
                    length: BodyLength::Chunked,
                    reusable,
                })
            } else {
                Ok(Framing {
                    length: BodyLength::UntilClose,
                    reusable: false,
                })
            };
        }
        if let Some(error) = self.content_length_error {
            return Err(error);
        }
        Ok(match self.content_length {
            Some(length) => Framing {
                length: BodyLength::Exactly(length),
                reusable: persistent,
            },
            None => Framing {
                length: BodyLength::UntilClose,
                reusable: false,
            },
        })
    }
}

impl Codings {
    fn note(&mut self, value: &[u8]) {
        self.present = true;
        for member in value.split(|&b| b == b',') {
            let member = trim(member);
            if member.eq_ignore_ascii_case(b"chunked") {
                self.chunked += 1;
                self.ends_in_chunked = true;
                continue;
            }
            // Only a coding's name is looked at; `chunked` itself has no parameters, so with one
            // it is some other, unknown thing wearing its name.
            let name = trim(member.split(|&b| b == b';').next().unwrap_or_default());
            if !is_token(name) || name.eq_ignore_ascii_case(b"chunked") {
                self.malformed = true;
            }
            self.others += 1;
            self.ends_in_chunked = false;
        }
    }

    fn are_chunked(&self) -> Result<bool, Error> {
        if self.malformed {
            return Err(Error::InvalidTransferEncoding);
        }
        if self.chunked > 1 {
            return Err(Error::RepeatedChunked);
        }
        Ok(self.ends_in_chunked)
    }
}

/// Calls `visit` for every member of a comma-separated list, trimmed, empty ones left out.
pub(super) fn for_each_token(value: &[u8], mut visit: impl FnMut(&[u8])) {
    for member in value.split(|&b| b == b',') {
        let member = trim(member);
        if !member.is_empty() {
            visit(member);
        }
    }
}

/// Removes the whitespace that HTTP allows around list members: spaces and tabs, nothing else.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether a name is this one, without regard to case. As most servers spell it, that is a comparison of two words.
fn is(name: &[u8], usual: &[u8]) -> bool {
    name == usual || name.eq_ignore_ascii_case(usual)
}

/// Digits only: no sign, no space, no separator, and no overflow.
fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}
