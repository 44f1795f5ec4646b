//! One connection: a transport and its codec.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::h1::{Connection, Error as CodecError, Event, Limits, RequestHead, ResponseHead};
use super::request::Request;
use super::transport::Transport;
use super::url::target;

/// A body up to this size is sent together with its head, in one write.
const JOINED_BODY: usize = 16 * 1024;

/// A connection that can carry one exchange after another.
#[derive(Debug)]
pub(super) struct Link {
    transport: Transport,
    codec: Connection,
    /// The request head; kept for its capacity.
    out: Vec<u8>,
    remote: SocketAddr,
    /// The request was not sent as a whole, so the server may still be waiting for the rest.
    broken: bool,
    /// What was wrong with body bytes that came along with the head, for the first to ask for the body.
    deferred: Option<LinkError>,
}

/// Why an exchange failed on this connection.
#[derive(Debug)]
pub(super) enum LinkError {
    Io(io::Error),
    Codec(CodecError),
}

/// A response head, and what came of the body along with it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) head: ResponseHead,
    pub(super) body: Vec<u8>,
    /// Whether that is the whole body.
    pub(super) ended: bool,
}

impl Link {
    pub(super) fn new(transport: Transport, remote: SocketAddr, limits: Limits) -> Self {
        let codec = Connection::new(limits);
        Self {
            transport,
            codec,
            out: Vec::new(),
            remote,
            broken: false,
            deferred: None,
        }
    }

    /// The server's address.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether another exchange may follow.
    pub(super) fn can_reuse(&self) -> bool {
        !self.broken && self.deferred.is_none() && self.codec.can_reuse()
    }

    /// Whether any byte of the response has arrived.
    pub(super) fn has_response_started(&self) -> bool {
        self.codec.has_response_started()
    }

    /// Whether an idle connection is still open and silent.
    ///
    /// A server that closes an idle connection often says something first (such as 408), and
    /// those bytes would be taken for the response to the next request. One look at the socket,
    /// without waiting, costs less than half a microsecond. It cannot see what arrives later;
    /// the retry of stale connections is for that.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.transport.is_quiet()
    }

    /// Encodes a request head, to be sent by [`send`](Self::send). Nothing is sent if it fails.
    pub(super) fn encode(
        &mut self,
        request: &Request,
        defaults: &HeaderMap,
    ) -> Result<(), CodecError> {
        let content_length = match &request.body {
            Some(body) => Some(body.len() as u64),
            // Servers expect these methods to say that there is no body.
            None if [Method::POST, Method::PUT, Method::PATCH].contains(&request.method) => Some(0),
            None => None,
        };
        self.out.clear();
        let head = RequestHead {
            method: &request.method,
            target: target(&request.url),
            host: request.url.host_str().unwrap_or_default(),
            port: request.url.port(),
            headers: &request.headers,
            defaults,
            content_length,
        };
        self.codec.encode_request(&head, &mut self.out)
    }

    /// Sends the encoded head, and the body behind it.
    pub(super) async fn send(&mut self, body: Option<&Bytes>) -> io::Result<()> {
        // Undone at the end: also a send that is dropped on the way leaves it set.
        self.broken = true;
        let body = body.map_or(&[][..], |body| body);
        if body.len() <= JOINED_BODY {
            self.out.extend_from_slice(body);
            self.transport.write_all(&self.out).await?;
        } else {
            self.transport.write_all(&self.out).await?;
            self.transport.write_all(body).await?;
        }
        if self.out.capacity() > 2 * JOINED_BODY {
            self.out = Vec::new();
        }
        self.broken = false;
        Ok(())
    }

    /// Receives until the head is complete.
    ///
    /// What came of the body in the same buffer is copied out, so that no receive buffer of the
    /// runtime is held while the caller thinks; for a small response that is the one copy its
    /// body ever goes through.
    pub(super) async fn receive_head(&mut self) -> Result<Received, LinkError> {
        loop {
            let Some(buffer) = self.transport.recv().await? else {
                // Without a head even a close-delimited body has not begun.
                let early = self
                    .codec
                    .eof()
                    .err()
                    .unwrap_or(CodecError::ClosedBeforeResponse);
                return Err(early.into());
            };
            let (used, event) = self.codec.receive(&buffer)?;
            // Before the head there is nothing but the wish for more, and then the buffer is used
            // up: informational responses are skipped inside the codec.
            if let Event::Head(head) = event {
                let mut body = Vec::new();
                // What is wrong behind the head is the body's affair: the caller gets the head first.
                let ended = match self.absorb(&buffer[used..], &mut body) {
                    Ok(ended) => ended,
                    Err(error) => {
                        self.deferred = Some(error);
                        false
                    }
                };
                return Ok(Received { head, body, ended });
            }
        }
    }

    /// Receives one buffer and appends what it holds of the body. Returns whether the body has
    /// ended. Loses nothing if dropped: bytes are taken from the socket in the same poll in which
    /// they are decoded.
    pub(super) async fn receive_body(&mut self, sink: &mut Vec<u8>) -> Result<bool, LinkError> {
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        match self.transport.recv().await? {
            Some(buffer) => self.absorb(&buffer, sink),
            None => {
                self.codec.eof()?;
                Ok(true)
            }
        }
    }

    /// Decodes body bytes. Trailers are read and dropped.
    fn absorb(&mut self, mut input: &[u8], sink: &mut Vec<u8>) -> Result<bool, LinkError> {
        loop {
            let (used, event) = self.codec.receive(input)?;
            input = &input[used..];
            match event {
                Event::Data(data) => {
                    if sink.is_empty() {
                        // All of the body that can follow in this buffer, in one allocation.
                        sink.reserve(data.len() + input.len());
                    }
                    sink.extend_from_slice(data);
                }
                Event::Head(_) | Event::Trailers(_) => {}
                Event::NeedMore => return Ok(false),
                Event::End => return Ok(true),
            }
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CodecError> for LinkError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}
