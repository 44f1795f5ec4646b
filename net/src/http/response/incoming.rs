//! The body of a response as it comes.

use std::task::{Context, Poll, ready};

use http::HeaderMap;

use crate::http::arrived::{Arrived, Piece};
use crate::http::coding::{Decoded, Decoder};
use crate::http::deadline::Clocks;
use crate::http::error::{Error, Phase};
use crate::http::flow::Flow;
use crate::http::transport::Transport;

/// The most that is reserved for a body because its `Content-Length` says so. What is really sent
/// may still be more; a server only cannot make the client reserve it by announcing it.
const TRUSTED_LENGTH: usize = 1 << 20;

/// The body of a response: what has come of it, and where the rest comes from.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What has been received (and decoded) but not handed out.
    pending: Arrived,
    /// Removes the content codings; gone at the end, and when there are none.
    decoder: Option<Box<Decoder>>,
    raw: Raw,
}

/// The body as the server sends it.
#[derive(Debug)]
struct Raw {
    source: Source,
    clocks: Clocks,
    /// Bytes received so far.
    received: u64,
    trailers: Option<Box<HeaderMap>>,
}

#[derive(Debug)]
enum Source {
    Open(Flow),
    /// There is no body, but another protocol.
    Tunnel(Flow),
    Ended,
    Failed,
}

impl Incoming {
    /// `came` is what came along with the head; without a flow it is all.
    pub(super) fn new(
        came: Arrived,
        flow: Option<Flow>,
        tunnel: bool,
        trailers: Option<Box<HeaderMap>>,
        mut clocks: Clocks,
    ) -> Self {
        clocks.trace.received(came.len());
        let source = match flow {
            None => Source::Ended,
            Some(flow) if tunnel => Source::Tunnel(flow),
            Some(flow) => Source::Open(flow),
        };
        Self {
            raw: Raw {
                source,
                clocks,
                received: came.len() as u64,
                trailers,
            },
            pending: came,
            decoder: None,
        }
    }

    /// Whether there is a body, or may be one.
    pub(super) fn has_bytes(&self) -> bool {
        !self.pending.is_empty() || matches!(self.raw.source, Source::Open(_))
    }

    /// From here on the body is decoded. To be said before anything was taken.
    pub(super) fn decode_with(&mut self, mut decoder: Box<Decoder>) {
        decoder.received(self.pending.len());
        *decoder.input() = std::mem::take(&mut self.pending).into_memory();
        if matches!(self.raw.source, Source::Ended) {
            decoder.end();
        }
        self.decoder = Some(decoder);
    }

    pub(super) fn received(&self) -> u64 {
        self.raw.received
    }

    /// The trailers, if the end of the body has come and there were some.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.raw.trailers.as_deref()
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.raw.trailers.take().map(|trailers| *trailers)
    }

    /// Whether nothing was handed out yet of a body that needs no decoding.
    pub(super) fn is_whole(&self) -> bool {
        self.raw.received == self.pending.len() as u64
    }

    /// Whether everything has been handed out.
    pub(super) fn is_over(&self) -> bool {
        self.pending.is_empty()
            && self.decoder.is_none()
            && matches!(self.raw.source, Source::Ended)
    }

    /// Makes room for a body of this announced length.
    pub(super) fn expect(&mut self, length: Option<u64>) {
        if let (Source::Open(_), Some(length)) = (&self.raw.source, length) {
            let length = usize::try_from(length)
                .unwrap_or(TRUSTED_LENGTH)
                .min(TRUSTED_LENGTH);
            let room = length.saturating_sub(self.pending.len());
            self.pending.in_memory().reserve_exact(room);
        }
    }

    /// The next piece, never empty; `None` after the end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Piece>, Error>> {
        while self.pending.is_empty() {
            if ready!(self.poll_more(cx))? {
                break;
            }
        }
        Poll::Ready(Ok(self.pending.take()))
    }

    /// All that is left.
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Error>> {
        while !ready!(self.poll_more(cx))? {}
        Poll::Ready(Ok(std::mem::take(&mut self.pending).into_memory()))
    }

    /// Receives or decodes once, and appends to `pending`. Ready with whether the body has ended.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let Some(decoder) = &mut self.decoder else {
            return self.raw.poll(cx, &mut self.pending);
        };
        loop {
            match decoder.decode(self.pending.in_memory()) {
                Ok(Decoded::Some) => return Poll::Ready(Ok(false)),
                Ok(Decoded::NeedsInput) => {}
                Ok(Decoded::End) => {
                    self.decoder = None;
                    return Poll::Ready(Ok(true));
                }
                Err(error) => {
                    self.raw.clocks.trace.failed(&error);
                    self.raw.source = Source::Failed;
                    self.decoder = None;
                    return Poll::Ready(Err(error));
                }
            }
            let before = self.raw.received;
            let mut input = Arrived::default();
            std::mem::swap(input.in_memory(), decoder.input());
            let polled = self.raw.poll(cx, &mut input);
            *decoder.input() = input.into_memory();
            let ended = ready!(polled)?;
            decoder.received((self.raw.received - before) as usize);
            if ended {
                decoder.end();
            }
        }
    }

    /// The connection, if it has switched protocols.
    pub(super) fn into_tunnel(self) -> Option<(Transport, Vec<u8>)> {
        match self.raw.source {
            Source::Tunnel(flow) => flow.into_tunnel(),
            _ => None,
        }
    }
}

impl Raw {
    /// Receives once and appends to `sink`. Ready with whether the body has ended.
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut Arrived) -> Poll<Result<bool, Error>> {
        let flow = match &mut self.source {
            Source::Open(flow) => flow,
            Source::Ended | Source::Tunnel(_) => return Poll::Ready(Ok(true)),
            Source::Failed => {
                let error = Error::plain(Phase::Body, "the body has already failed");
                return Poll::Ready(Err(error));
            }
        };
        let before = sink.len();
        let received = ready!(flow.poll_receive(cx, sink, &mut self.clocks));
        self.received += (sink.len() - before) as u64;
        self.clocks.trace.received(sink.len() - before);
        match received {
            Ok(false) => return Poll::Ready(Ok(false)),
            Ok(true) => {}
            Err(error) => {
                self.clocks.trace.failed(&error);
                // Closes the connection at once instead of when the response is dropped.
                self.source = Source::Failed;
                return Poll::Ready(Err(error));
            }
        }
        if let Source::Open(mut flow) = std::mem::replace(&mut self.source, Source::Ended) {
            self.trailers = flow.take_trailers();
            flow.finish();
        }
        Poll::Ready(Ok(true))
    }
}
