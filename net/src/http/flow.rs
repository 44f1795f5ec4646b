//! A response under way, over a connection of its own or a shared one.

use std::task::{Context, Poll};

use http::HeaderMap;

use super::arrived::Arrived;
use super::deadline::Clocks;
use super::error::Error;
use super::exchange::Carrier;
#[cfg(feature = "http2")]
use super::h2::Stream;
use super::transport::Transport;

/// Where the rest of a response comes from.
#[derive(Debug)]
pub(super) enum Flow {
    /// HTTP/1.1: it has the connection for itself.
    Link(Carrier),
    /// HTTP/2: it has a stream of one. In a box, as it is much larger, and a flow is moved.
    #[cfg(feature = "http2")]
    Stream(Box<Stream>),
}

impl Flow {
    /// Receives some of the body into `sink`; ready with whether it has ended.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Arrived,
        clocks: &mut Clocks,
    ) -> Poll<Result<bool, Error>> {
        match self {
            Self::Link(carrier) => carrier.poll_receive(cx, sink, clocks),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => stream.poll_receive(cx, sink, clocks),
        }
    }

    /// The trailers of a body that has ended.
    pub(super) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        match self {
            Self::Link(carrier) => carrier.take_trailers(),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => stream.take_trailers(),
        }
    }

    /// The body has ended: the connection can be used for something else.
    pub(super) fn finish(self) {
        match self {
            Self::Link(carrier) => carrier.finish(),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => drop(stream),
        }
    }

    /// The connection itself, for another protocol, and what came of that already. A stream has none.
    pub(super) fn into_tunnel(self) -> Option<(Transport, Vec<u8>)> {
        match self {
            Self::Link(carrier) => Some(carrier.into_tunnel()),
            #[cfg(feature = "http2")]
            Self::Stream(_) => None,
        }
    }
}
