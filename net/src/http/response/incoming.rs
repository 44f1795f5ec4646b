//! The body of a response as it comes.

use std::task::{Context, Poll, ready};

use http::HeaderMap;

use crate::http::error::{Error, Phase};
use crate::http::exchange::{Carrier, Clocks};
use crate::http::transport::Transport;

/// The most that is reserved for a body because its `Content-Length` says so. What is really sent
/// may still be more; a server only cannot make the client reserve it by announcing it.
const TRUSTED_LENGTH: usize = 1 << 20;

/// The body of a response: what has come of it, and where the rest comes from.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What has been received but not handed out.
    pending: Vec<u8>,
    source: Source,
    clocks: Clocks,
    /// Bytes received so far.
    received: u64,
    trailers: Option<Box<HeaderMap>>,
}

#[derive(Debug)]
enum Source {
    Open(Box<Carrier>),
    /// There is no body, but another protocol.
    Tunnel(Box<Carrier>),
    Ended,
    Failed,
}

impl Incoming {
    pub(super) fn new(
        pending: Vec<u8>,
        carrier: Option<Carrier>,
        tunnel: bool,
        trailers: Option<Box<HeaderMap>>,
        clocks: Clocks,
    ) -> Self {
        let source = match carrier.map(Box::new) {
            None => Source::Ended,
            Some(carrier) if tunnel => Source::Tunnel(carrier),
            Some(carrier) => Source::Open(carrier),
        };
        Self {
            received: pending.len() as u64,
            pending,
            source,
            clocks,
            trailers,
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The trailers, if the end of the body has come and there were some.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take().map(|trailers| *trailers)
    }

    /// Whether nothing was handed out yet.
    pub(super) fn is_whole(&self) -> bool {
        self.received == self.pending.len() as u64
    }

    /// Whether everything has been handed out.
    pub(super) fn is_over(&self) -> bool {
        self.pending.is_empty() && matches!(self.source, Source::Ended)
    }

    /// Makes room for a body of this announced length.
    pub(super) fn expect(&mut self, length: Option<u64>) {
        if let (Source::Open(_), Some(length)) = (&self.source, length) {
            let length = usize::try_from(length)
                .unwrap_or(TRUSTED_LENGTH)
                .min(TRUSTED_LENGTH);
            let room = length.saturating_sub(self.pending.len());
            self.pending.reserve_exact(room);
        }
    }

    /// The next piece, never empty; `None` after the end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Vec<u8>>, Error>> {
        while self.pending.is_empty() {
            if ready!(self.poll_more(cx))? {
                break;
            }
        }
        let piece = std::mem::take(&mut self.pending);
        Poll::Ready(Ok((!piece.is_empty()).then_some(piece)))
    }

    /// All that is left.
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Error>> {
        while !ready!(self.poll_more(cx))? {}
        Poll::Ready(Ok(std::mem::take(&mut self.pending)))
    }

    /// Receives once and appends to `pending`. Ready with whether the body has ended.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let carrier = match &mut self.source {
            Source::Open(carrier) => carrier,
            Source::Ended | Source::Tunnel(_) => return Poll::Ready(Ok(true)),
            Source::Failed => {
                let error = Error::plain(Phase::Body, "the body has already failed");
                return Poll::Ready(Err(error));
            }
        };
        let before = self.pending.len();
        let received = ready!(carrier.poll_receive(cx, &mut self.pending, &mut self.clocks));
        self.received += (self.pending.len() - before) as u64;
        match received {
            Ok(false) => return Poll::Ready(Ok(false)),
            Ok(true) => {}
            Err(error) => {
                // Closes the connection at once instead of when the response is dropped.
                self.source = Source::Failed;
                return Poll::Ready(Err(error));
            }
        }
        if let Source::Open(mut carrier) = std::mem::replace(&mut self.source, Source::Ended) {
            self.trailers = carrier.take_trailers();
            carrier.finish();
        }
        Poll::Ready(Ok(true))
    }

    /// The connection, if it has switched protocols.
    pub(super) fn into_tunnel(self) -> Option<(Transport, Vec<u8>)> {
        match self.source {
            Source::Tunnel(carrier) => Some(carrier.into_tunnel()),
            _ => None,
        }
    }
}
