//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::connection::Lease;
use super::exchange::Failure;
use super::upload::Upload;
use crate::http::arrived::Arrived;
use crate::http::deadline::Clocks;
use crate::http::error::{Cause, Error, Phase};
use crate::http::h1::{Error as CodecError, Limits};

/// A stream whose response's head has come. Dropped before the end, it is reset, and the connection goes on.
#[derive(Debug)]
pub(in crate::http) struct Stream {
    // Before the lease, so that the connection is free when it is said to be.
    body: Incoming,
    upload: Upload,
    /// What the head announces.
    length: Option<u64>,
    received: u64,
    limits: Limits,
    trailers: Option<Box<HeaderMap>>,
    _lease: Lease,
}

impl Stream {
    pub(super) fn new(
        body: Incoming,
        upload: Upload,
        length: Option<u64>,
        limits: Limits,
        lease: Lease,
    ) -> Self {
        Self {
            body,
            upload,
            length,
            received: 0,
            limits,
            trailers: None,
            _lease: lease,
        }
    }

    pub(in crate::http) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// Receives one frame into `sink`; ready with whether the body has ended. What is taken here, the server may send
    /// more of.
    pub(in crate::http) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Arrived,
        clocks: &mut Clocks,
    ) -> Poll<Result<bool, Error>> {
        if let Poll::Ready(received) = self.poll_frame(cx, sink) {
            clocks.pause();
            return Poll::Ready(received);
        }
        let progress = self.received.wrapping_add(self.upload.sent());
        let waits = self.upload.waits_for_body();
        clocks.poll(cx, waits, progress, Phase::Body).map(Err)
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Arrived,
    ) -> Poll<Result<bool, Error>> {
        if let Some(error) = self.upload.take_error() {
            return Poll::Ready(Err(Error::source(Phase::Upload, error)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let refused = |error| Error::new(Phase::Body, Cause::Codec(error));
        Poll::Ready(match frame {
            None => self.end().map_err(refused),
            Some(Ok(frame)) => self.take(frame, sink).map_err(refused),
            Some(Err(error)) => Err(Error::source(Phase::Body, Failure(error))),
        })
    }

    fn take(&mut self, frame: Frame<Bytes>, sink: &mut Arrived) -> Result<bool, CodecError> {
        match frame.into_data() {
            Ok(data) => {
                self.received += data.len() as u64;
                let limit = self.limits.body;
                if self.received > limit {
                    return Err(CodecError::BodyTooLarge { limit });
                }
                sink.in_memory().extend_from_slice(&data);
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    check_trailers(&trailers, &self.limits)?;
                    self.trailers = Some(Box::new(trailers));
                }
            }
        }
        Ok(self.body.is_end_stream())
    }

    /// The body gives no more. It may have been cut short all the same: for hyper a stream that is reset politely has
    /// ended.
    fn end(&self) -> Result<bool, CodecError> {
        let missing = self
            .length
            .map_or(0, |length| length.saturating_sub(self.received));
        if missing > 0 {
            return Err(CodecError::ClosedInBody { missing });
        }
        // A server that does not want the rest of a request says so in this way, too, after a whole response.
        let may_be_whole = self.length.is_some() || !self.upload.is_over();
        if !self.body.is_end_stream() && !may_be_whole {
            return Err(CodecError::ClosedInChunked);
        }
        Ok(true)
    }
}

fn check_trailers(trailers: &HeaderMap, limits: &Limits) -> Result<(), CodecError> {
    let size = trailers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    if size.sum::<usize>() > limits.trailers {
        let limit = limits.trailers;
        return Err(CodecError::TrailersTooLarge { limit });
    }
    super::exchange::check_count(trailers, limits)
}
