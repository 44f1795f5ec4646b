//! One exchange after another on one connection.

use http::{HeaderMap, StatusCode};

use super::body::{Body, Piece};
use super::encode::Asked;
use super::framing::BodyLength;
use super::head::HeadReader;
use super::{Error, Limits, RequestHead, ResponseHead};

/// The client's end of an HTTP/1.1 connection, without the socket.
///
/// ```text
///            encode_request            final head               end of body
///   Idle ----------------> AwaitHead -----------> InBody ---------------------> Ended
///    ^                      |     ^                                               |
///    |                      +-----+ 1xx                                           |
///    +----------------- encode_request, only if can_reuse() ----------------------+
///
///   from everywhere: an error leads to Failed, which only repeats that it failed
/// ```
///
/// There is no pipelining: one request, then its whole response, then the next request.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    state: State,
    head: HeadReader,
    asked: Asked,
    /// 1xx responses to the current request.
    informational: u32,
    /// Whether one of them was 100 Continue.
    continued: bool,
    /// Bytes of the current body.
    body_bytes: u64,
    /// Whether any byte of the current response has been received.
    started: bool,
    /// Whether framing and headers so far allow another exchange.
    reusable: bool,
    tunnel: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    AwaitHead,
    InBody(Body),
    Ended,
    Failed,
}

/// What [`Connection::receive`] found.
#[derive(Debug)]
pub enum Event<'i> {
    /// All input is used up: receive more, or call [`eof`](Connection::eof).
    NeedMore,
    /// The head of the final response. Informational ones are skipped.
    Head(ResponseHead),
    /// Bytes of the body without the transfer coding: a part of the input. Never empty.
    Data(&'i [u8]),
    /// The trailers of a chunked body, just before its end; left out if there are none. They are
    /// not to be treated as headers.
    Trailers(HeaderMap),
    /// The response is complete. What is left of the input does not belong to it: it belongs to
    /// the other protocol if [`is_tunnel`](Connection::is_tunnel), else it is excess, and
    /// the connection cannot be used again.
    End,
}

impl Connection {
    /// A connection on which nothing has been sent yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Idle,
            head: HeadReader::default(),
            asked: Asked::default(),
            informational: 0,
            continued: false,
            body_bytes: 0,
            started: false,
            reusable: true,
            tunnel: false,
        }
    }

    /// Changes the limits; they hold from the next byte on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Appends a request head to `out` and expects its response. The caller sends it, followed by
    /// exactly the body that [`body`](RequestHead::body) announces.
    ///
    /// # Errors
    ///
    /// Everything for which [`Error::is_request`] is true; `out` and the connection are then as
    /// they were. [`Error::NotReady`] if an exchange is under way or the last one does not
    /// allow another ([`can_reuse`](Self::can_reuse)).
    pub fn encode_request(
        &mut self,
        request: &RequestHead<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let ready = match self.state {
            State::Idle => self.reusable,
            State::Ended => self.can_reuse(),
            _ => false,
        };
        if !ready {
            return Err(Error::NotReady);
        }
        self.asked = request.encode(out)?;
        self.state = State::AwaitHead;
        self.informational = 0;
        self.continued = false;
        self.body_bytes = 0;
        self.started = false;
        Ok(())
    }

    /// Takes received bytes. Returns how many of them were used, from the front, and one event;
    /// call it again with the rest. With an empty rest it is [`Event::NeedMore`] or
    /// [`Event::End`], so the end is found without waiting for the socket again.
    ///
    /// # Errors
    ///
    /// The response breaks the rules or the limits; close the connection.
    pub fn receive<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Event<'i>), Error> {
        let result = self.advance(input);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    fn advance<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Event<'i>), Error> {
        match &mut self.state {
            State::Idle if input.is_empty() => Ok((0, Event::NeedMore)),
            State::Idle => Err(Error::Unsolicited),
            State::AwaitHead => self.receive_head(input),
            State::InBody(body) => {
                let (used, piece) = body.decode(input, &self.limits)?;
                match piece {
                    Piece::NeedMore => Ok((used, Event::NeedMore)),
                    Piece::Data(data) => {
                        self.body_bytes = self.body_bytes.saturating_add(data.len() as u64);
                        self.check_body_limit(self.body_bytes)?;
                        Ok((used, Event::Data(data)))
                    }
                    Piece::Trailers(trailers) => Ok((used, Event::Trailers(trailers))),
                    Piece::End => {
                        self.state = State::Ended;
                        self.reusable &= used == input.len();
                        Ok((used, Event::End))
                    }
                }
            }
            State::Ended => {
                self.reusable &= input.is_empty();
                Ok((0, Event::End))
            }
            State::Failed => Err(Error::Failed),
        }
    }

    fn receive_head<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Event<'i>), Error> {
        let mut at = 0;
        loop {
            if at == input.len() {
                return Ok((at, Event::NeedMore));
            }
            self.started = true;
            let (used, head) = self.head.read(&input[at..], &self.limits)?;
            at += used;
            let Some(head) = head else {
                return Ok((at, Event::NeedMore));
            };
            let status = head.status();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                if !self.asked.upgrade {
                    return Err(Error::UnexpectedUpgrade);
                }
            } else if status.is_informational() {
                self.informational += 1;
                self.continued |= status == StatusCode::CONTINUE;
                let limit = self.limits.informational;
                if self.informational > limit {
                    return Err(Error::TooManyInformational { limit });
                }
                continue;
            }
            let framing = head.framing().decide(self.asked, status, head.version())?;
            if let BodyLength::Exactly(length) = framing.length {
                self.check_body_limit(length)?;
            }
            self.reusable = framing.reusable;
            self.tunnel = framing.length == BodyLength::Tunnel;
            self.state = State::InBody(Body::new(framing.length));
            return Ok((at, Event::Head(head)));
        }
    }

    fn check_body_limit(&self, length: u64) -> Result<(), Error> {
        let limit = self.limits.body;
        if length > limit {
            Err(Error::BodyTooLarge { limit })
        } else {
            Ok(())
        }
    }

    /// The server has closed its side of the connection. `Ok` means that the response is complete
    /// (or that none was expected), as if by [`Event::End`]; the connection cannot be used again.
    ///
    /// # Errors
    ///
    /// Those for which [`Error::is_early_close`] is true: the response is truncated.
    pub fn eof(&mut self) -> Result<(), Error> {
        self.reusable = false;
        let result = match &mut self.state {
            State::Idle | State::Ended => return Ok(()),
            State::AwaitHead if self.started => Err(Error::ClosedInHead),
            State::AwaitHead => Err(Error::ClosedBeforeResponse),
            State::InBody(body) => body.eof(&self.limits),
            State::Failed => Err(Error::Failed),
        };
        self.state = if result.is_ok() {
            State::Ended
        } else {
            State::Failed
        };
        result
    }

    /// Whether another request may be sent: the last response is complete, nothing came after it,
    /// its end was not marked by closing, both sides want to go on, and its framing had only one
    /// reading. Also true for a connection on which nothing was sent yet.
    #[must_use]
    pub fn can_reuse(&self) -> bool {
        self.reusable && matches!(self.state, State::Idle | State::Ended)
    }

    /// Whether the response is complete.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether any byte of the response to the current request has arrived. As long as none has, a
    /// request on a connection that was used before may be repeated on another one.
    #[must_use]
    pub fn has_response_started(&self) -> bool {
        self.started
    }

    /// Whether the server has answered 100 Continue: it wants the body that was held back for it.
    #[must_use]
    pub fn has_continued(&self) -> bool {
        self.continued
    }

    /// Bytes of the current body so far, without the transfer coding.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Whether the response turned the connection into a tunnel: 2xx to CONNECT, or 101. Bytes
    /// that were not used belong to the other protocol.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.tunnel
    }
}
