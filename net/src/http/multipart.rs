//! Bodies of several parts: `multipart/form-data` ([RFC 7578]), as forms with files send them.
//!
//! ```
//! use heist_net::http::multipart::{Form, Part};
//!
//! let form = Form::new()
//!     .text("title", "a picture")
//!     .part("file", Part::bytes(b"...".to_vec()).file_name("a.png").mime_str("image/png")?);
//! # Ok::<(), heist_net::http::Error>(())
//! ```
//!
//! [RFC 7578]: https://www.rfc-editor.org/rfc/rfc7578

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame};

use super::body::Body;
use super::error::{Error, Phase};
use super::random::random;

/// A form: parts in their order. Sent by [`RequestBuilder::multipart`](super::RequestBuilder::multipart).
#[derive(Debug)]
pub struct Form {
    boundary: String,
    parts: Vec<(Cow<'static, str>, Part)>,
}

/// A part of a [`Form`]: a value, or a file.
#[derive(Debug)]
pub struct Part {
    body: Body,
    file_name: Option<Cow<'static, str>>,
    headers: HeaderMap,
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl Form {
    /// A form without parts.
    #[must_use]
    pub fn new() -> Self {
        // 256 bits that nobody can guess: they do not occur in a part by chance, and who writes a part
        // cannot make them occur.
        let boundary = (0..4).fold(String::with_capacity(64), |mut text, _| {
            let _ = write!(text, "{:016x}", random());
            text
        });
        Self {
            boundary,
            parts: Vec::new(),
        }
    }

    /// What separates the parts.
    #[must_use]
    pub fn boundary(&self) -> &str {
        &self.boundary
    }

    /// Adds a value.
    #[must_use]
    pub fn text(
        self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.part(name, Part::text(value))
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, name: impl Into<Cow<'static, str>>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The `Content-Type` of the request.
    pub(super) fn content_type(&self) -> HeaderValue {
        let text = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::try_from(text).expect("a boundary is hexadecimal")
    }

    /// The body of the request. Parts that are all in memory become one block, which can be sent again.
    pub(super) fn into_body(self) -> Body {
        let mut pieces = VecDeque::new();
        for (name, part) in self.parts {
            let mut head = format!("--{}\r\n", self.boundary).into_bytes();
            part.write_head(&name, &mut head);
            pieces.push_back(Body::from(head));
            pieces.push_back(part.body);
            pieces.push_back(Body::from("\r\n"));
        }
        pieces.push_back(Body::from(format!("--{}--\r\n", self.boundary)));
        let length = pieces
            .iter()
            .map(Body::content_length)
            .try_fold(0u64, |sum, length| sum.checked_add(length?));
        let blocks: Option<Vec<_>> = pieces.iter().map(Body::as_bytes).collect();
        if let Some(blocks) = blocks {
            return blocks.concat().into();
        }
        let body = Body::wrap(Pieces { pieces });
        match length {
            Some(length) => body.with_length(length),
            None => body,
        }
    }
}

impl Part {
    /// A value.
    pub fn text(value: impl Into<Cow<'static, str>>) -> Self {
        Self::new(match value.into() {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        })
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(bytes.into().into())
    }

    /// A stream, or another body, that is read as it is sent. When every part knows its length
    /// ([`Body::with_length`]) the request has a `Content-Length`, else it goes out in chunks.
    pub fn stream(body: impl Into<Body>) -> Self {
        Self::new(body.into())
    }

    fn new(body: Body) -> Self {
        Self {
            body,
            file_name: None,
            headers: HeaderMap::new(),
        }
    }

    /// The name of a file, which makes the part one.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// The type of its content, such as `image/png`.
    ///
    /// # Errors
    ///
    /// When it is no valid header value.
    pub fn mime_str(mut self, mime: &str) -> Result<Self, Error> {
        let value = HeaderValue::try_from(mime);
        let remedy = "a type such as `image/png` holds no control characters";
        let value = value.map_err(|it| Error::source(Phase::Build, it).with_remedy(remedy))?;
        self.headers.insert(CONTENT_TYPE, value);
        Ok(self)
    }

    /// Further headers of the part.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    fn write_head(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Content-Disposition: form-data; name=\"");
        escape(name, out);
        if let Some(name) = &self.file_name {
            out.extend_from_slice(b"\"; filename=\"");
            escape(name, out);
        }
        out.extend_from_slice(b"\"\r\n");
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What would end the quotes or the line, as browsers write it
/// ([HTML](https://html.spec.whatwg.org/#multipart-form-data)).
fn escape(name: &str, out: &mut Vec<u8>) {
    for byte in name.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"%22"),
            b'\r' => out.extend_from_slice(b"%0D"),
            b'\n' => out.extend_from_slice(b"%0A"),
            _ => out.push(byte),
        }
    }
}

/// Bodies one after another.
struct Pieces {
    pieces: VecDeque<Body>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while let Some(piece) = self.pieces.front_mut() {
            match ready!(Pin::new(piece).poll_frame(cx)).transpose()? {
                Some(frame) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                // A part has no trailers.
                Some(_) => {}
                None => {
                    self.pieces.pop_front();
                }
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut out = Vec::new();
        escape("a\"; x=\"b\r\nEvil: 1", &mut out);
        assert_eq!(out, b"a%22; x=%22b%0D%0AEvil: 1");
    }

    #[test]
    fn boundaries_differ() {
        let (one, other) = (Form::new(), Form::new());
        assert_ne!(one.boundary(), other.boundary());
        assert!((40..=70).contains(&one.boundary().len()));
    }
}
