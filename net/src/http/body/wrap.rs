//! Streams, readers and other bodies as frames of bytes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;

use super::BoxError;
use crate::io::AsyncRead;

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

pin_project! {
    /// The items of a stream.
    pub(super) struct OfStream<S> {
        #[pin]
        stream: S,
    }
}

impl<S> OfStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream }
    }
}

impl<S, D, E> HttpBody for OfStream<S>
where
    S: Stream<Item = Result<D, E>>,
    D: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let item = ready!(self.project().stream.poll_next(cx));
        Poll::Ready(item.map(|item| match item {
            Ok(data) => Ok(Frame::data(data.into())),
            Err(error) => Err(error.into()),
        }))
    }
}

/// What a reader reads.
pub(super) struct OfReader<R> {
    reader: R,
}

impl<R> OfReader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }
}

// The reader is used behind a plain reference.
impl<R> Unpin for OfReader<R> {}

impl<R: AsyncRead> HttpBody for OfReader<R> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        Poll::Ready(match ready!(self.reader.poll_recv(cx)) {
            // Copied, since the receive buffers of the runtime are for what is about to be read.
            Ok(Some(bytes)) => Some(Ok(Frame::data(Bytes::copy_from_slice(&bytes)))),
            Ok(None) => None,
            Err(error) => Some(Err(error.into())),
        })
    }
}

pin_project! {
    /// The frames of another body.
    pub(super) struct OfBody<B> {
        #[pin]
        body: B,
    }
}

impl<B> OfBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B> HttpBody for OfBody<B>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame {
            // Costs nothing when the data are `Bytes` already.
            Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Err(error) => Err(error.into()),
        }))
    }
}
