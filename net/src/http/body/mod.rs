//! Bodies of requests, and of responses that leave the client.
//!
//! | file | idea |
//! |---|---|
//! | `mod.rs` | [`Body`]: bytes in memory, or frames that come one after another |
//! | `wrap.rs` | streams, readers and other bodies as frames |
//! | `upload.rs` | sends a body, in chunks or with a length, as the socket takes it |

mod wrap;
mod upload;

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sync_wrapper::SyncWrapper;

pub(super) use upload::{SendError, Upload};

use super::error::{Error, Phase};
use crate::io::AsyncRead;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// A body: bytes in memory, or something that is produced while it is sent.
///
/// Bytes go out with a `Content-Length` and can be sent again, which a retry or a redirect may need. A
/// stream goes out in chunks unless its length is known ([`with_length`](Self::with_length)), is asked
/// for more only when the socket has taken what it gave, and is sent once: it can be repeated only as
/// long as nothing was read of it.
///
/// It is an [`http_body::Body`] too, whose trailers are sent.
///
/// ```
/// use heist_net::http::Body;
///
/// let text = Body::from("text");
/// assert_eq!(text.content_length(), Some(4));
/// assert!(text.try_clone().is_some());
/// ```
pub struct Body(Inner);

enum Inner {
    Bytes(Bytes),
    Frames(Frames),
}

/// The frames of a body that is not in memory.
pub(super) struct Frames {
    source: SyncWrapper<Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>>,
    /// How many bytes they add up to, if that was said.
    length: Option<u64>,
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Inner::Bytes(Bytes::new()))
    }

    /// The pieces of a stream, one after another. Its first error ends the request.
    pub fn wrap_stream<S, D, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<D, E>> + Send + 'static,
        D: Into<Bytes>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::frames(wrap::OfStream::new(stream), None)
    }

    /// What a reader has to give, up to its end.
    pub fn wrap_reader(reader: impl AsyncRead + 'static) -> Self {
        Self::frames(wrap::OfReader::new(reader), None)
    }

    /// A body of another library. If it knows its length it goes out with a `Content-Length`, else in
    /// chunks, and then with its trailers.
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let length = body.size_hint().exact();
        Self::frames(wrap::OfBody::new(body), length)
    }

    fn frames(
        source: impl HttpBody<Data = Bytes, Error = BoxError> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        let source = SyncWrapper::new(
            Box::pin(source) as Pin<Box<dyn HttpBody<Data = _, Error = _> + Send>>
        );
        Self(Inner::Frames(Frames { source, length }))
    }

    /// States how many bytes a stream has, so that it goes out with a `Content-Length`. A stream that then
    /// has more or fewer fails the request. For bytes in memory it changes nothing.
    #[must_use]
    pub fn with_length(mut self, length: u64) -> Self {
        if let Inner::Frames(frames) = &mut self.0 {
            frames.length = Some(length);
        }
        self
    }

    /// How many bytes it has; `None` for a stream that does not know.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Bytes(bytes) => Some(bytes.len() as u64),
            Inner::Frames(frames) => frames.length,
        }
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Inner::Bytes(bytes) => Some(bytes),
            Inner::Frames(_) => None,
        }
    }

    /// The same body again: `None` for a stream, which exists once. Bytes are shared and not copied.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Inner::Bytes(bytes) => Some(Self(Inner::Bytes(bytes.clone()))),
            Inner::Frames(_) => None,
        }
    }

    /// The next piece; `None` at the end. Trailers are left out.
    ///
    /// # Errors
    ///
    /// Those of what the body was made of; for a response's body those of
    /// [`chunk`](super::Response::chunk).
    ///
    /// # Cancel safety
    ///
    /// As safe as what it was made of; a response's loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The next frame, with the error of what it was made of.
    #[cfg(feature = "http2")]
    pub(super) fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Frames(frames) => frames.poll(cx),
        }
    }

    fn into_inner(self) -> Inner {
        self.0
    }
}

impl Frames {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.source.get_mut().as_mut().poll_frame(cx)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Inner::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Frames(frames) => frames.poll(cx).map_err(body_error),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.content_length()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The error of a body as one of the client: its own if it is one already.
fn body_error(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::source(Phase::Body, error),
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("is_stream", &matches!(self.0, Inner::Frames(_)))
            .field("length", &self.content_length())
            .finish()
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Bytes(bytes))
    }
}

macro_rules! from_bytes {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Body {
            fn from(bytes: $type) -> Self {
                Bytes::from(bytes).into()
            }
        }
    )*};
}

from_bytes!(
    &'static [u8],
    &'static str,
    Vec<u8>,
    String,
    Box<[u8]>,
    bytes::BytesMut,
);
