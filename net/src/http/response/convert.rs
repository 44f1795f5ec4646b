//! The body of a response as a stream, a reader, or the body of something else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Response;
use crate::RecvBuf;
use crate::http::body::Body;
use crate::http::error::Error;
use crate::io::{AsyncBufRead, AsyncRead, Unread};

/// The frames of a response's body: its pieces, then its trailers.
struct Frames(Response);

impl Response {
    /// The body as a stream of its pieces, as [`chunk`](Self::chunk) gives them.
    pub fn bytes_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin {
        Pieces(self)
    }

    /// The body as a reader.
    #[must_use]
    pub fn into_reader(self) -> ResponseReader {
        ResponseReader {
            response: self,
            unread: Unread::new(),
        }
    }
}

/// The pieces of a response's body.
struct Pieces(Response);

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(self.0.answer.body.poll_piece(cx));
        let piece = self.0.located(piece).transpose();
        Poll::Ready(piece.map(|piece| piece.map(Bytes::from)))
    }
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = crate::http::body::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.0.answer.body.poll_piece(cx));
        Poll::Ready(match self.0.located(piece) {
            Ok(Some(piece)) => Some(Ok(Frame::data(piece.into()))),
            Ok(None) => self
                .0
                .answer
                .body
                .take_trailers()
                .map(|map| Ok(Frame::trailers(map))),
            Err(error) => Some(Err(error.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.answer.body.is_over() && self.0.answer.body.trailers().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // What was taken of it already is not in there any more.
        match self.0.content_length() {
            Some(length) if self.0.answer.body.is_whole() => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        }
    }
}

/// The rest of the body: to be handed on, or to be sent on in another request, as it arrives.
impl From<Response> for Body {
    fn from(response: Response) -> Self {
        Self::wrap(Frames(response))
    }
}

/// The response in the types of the crate `http`; its URL is among the extensions.
impl From<Response> for http::Response<Body> {
    fn from(mut response: Response) -> Self {
        let mut converted = Self::new(Body::empty());
        *converted.status_mut() = response.status();
        *converted.version_mut() = response.version();
        *converted.headers_mut() = std::mem::take(response.headers_mut());
        *converted.extensions_mut() = std::mem::take(&mut response.answer.extensions);
        converted.extensions_mut().insert(response.url().clone());
        *converted.body_mut() = response.into();
        converted
    }
}

/// Reads the body of a [`Response`]; made by [`Response::into_reader`].
///
/// The end of the body is the end of the reader. An error of the body is one of kind `Other`, or `TimedOut`,
/// with the client's [`Error`] in it.
#[derive(Debug)]
pub struct ResponseReader {
    response: Response,
    unread: Unread,
}

impl ResponseReader {
    /// The response: its status, headers, and after the end its trailers.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }
}

impl AsyncRead for ResponseReader {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        let piece = ready!(self.response.answer.body.poll_piece(cx));
        Poll::Ready(match self.response.located(piece) {
            Ok(piece) => Ok(piece.map(RecvBuf::from)),
            Err(error) if error.is_timeout() => Err(io::Error::new(io::ErrorKind::TimedOut, error)),
            Err(error) => Err(io::Error::other(error)),
        })
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

impl AsyncBufRead for ResponseReader {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.unread.is_empty()
            && let Some(bytes) = ready!(self.poll_recv(cx))?
        {
            self.unread.put_back(bytes);
        }
        Poll::Ready(Ok(&self.unread))
    }

    fn consume(&mut self, count: usize) {
        self.unread.consume(count);
    }
}
