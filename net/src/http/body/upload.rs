//! Sends a request: its head, then its body, as the socket takes it.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;

use super::{Body, BoxError, Frames, Inner};
use crate::io::AsyncWrite;

/// A piece up to this size is copied behind the head, and goes out with it in one write.
const JOINED: usize = 16 * 1024;

/// The sending side of an exchange.
///
/// ```text
///   start --> head, then what is staged behind it --> next piece of the body --+--> done
///                ^                                                             |
///                +-------------------------------------------------------------+
/// ```
///
/// It is polled with the transport it sends to, next to the receiving side; the two share a task. Whatever
/// is pending is either the socket (there is no room) or the body (there is no piece); which of them it is
/// decides whether a time-out of the connection runs.
#[derive(Debug, Default)]
pub(in super::super) struct Upload {
    /// Framing and small pieces; kept for its capacity.
    out: Vec<u8>,
    sent: usize,
    /// A large piece, sent behind `out` from where it lies.
    data: Bytes,
    rest: Rest,
    /// The body waits until the server asks for it (`Expect: 100-continue`).
    held: bool,
    /// It was given up: the server does not want it, or the socket does not take it.
    abandoned: bool,
    /// The transport may still hold what was written.
    unflushed: bool,
    waits_for_body: bool,
    /// Bytes that were written, of all requests.
    written: u64,
}

#[derive(Debug, Default)]
enum Rest {
    #[default]
    Nothing,
    Bytes(Bytes),
    Frames {
        frames: Frames,
        framing: Framing,
        /// A piece was asked for: the body cannot be sent a second time.
        touched: bool,
    },
}

#[derive(Debug)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// Whether the end of the line behind the last chunk is still to be written.
    Chunked { open: bool },
}

/// Why a request could not be sent.
#[derive(Debug)]
pub(in super::super) enum SendError {
    /// The socket failed.
    Io(io::Error),
    /// The body failed.
    Body(BoxError),
}

impl Upload {
    /// Begins a request: the buffer that its head is to be written to, now empty.
    pub(in super::super) fn start(&mut self) -> &mut Vec<u8> {
        self.out.clear();
        *self = Self {
            out: std::mem::take(&mut self.out),
            written: self.written,
            ..Self::default()
        };
        &mut self.out
    }

    /// Adds the body. `held`: it is not sent before [`release`](Self::release).
    pub(in super::super) fn attach(&mut self, body: Body, held: bool) {
        self.held = held;
        match body.into_inner() {
            Inner::Bytes(bytes) if bytes.is_empty() => self.held = false,
            Inner::Bytes(bytes) if !held => self.stage(bytes),
            Inner::Bytes(bytes) => self.rest = Rest::Bytes(bytes),
            Inner::Frames(frames) => {
                let framing = match frames.length {
                    Some(length) => Framing::Length(length),
                    None => Framing::Chunked { open: false },
                };
                self.rest = Rest::Frames {
                    frames,
                    framing,
                    touched: false,
                };
            }
        }
    }

    /// The server wants the body, or does not say.
    pub(in super::super) fn release(&mut self) {
        self.held = false;
    }

    pub(in super::super) fn is_held(&self) -> bool {
        self.held && !self.abandoned
    }

    pub(in super::super) fn was_held(&self) -> bool {
        self.held
    }

    /// Nothing more of the body will be sent.
    pub(in super::super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Whether all of the request has been sent.
    pub(in super::super) fn is_complete(&self) -> bool {
        self.is_out() && !self.unflushed && matches!(self.rest, Rest::Nothing)
    }

    /// Whether polling it does something.
    pub(in super::super) fn is_active(&self) -> bool {
        !self.abandoned && !self.is_complete()
    }

    /// Whether it is the body that was waited for last, and not the socket.
    pub(in super::super) fn waits_for_body(&self) -> bool {
        self.waits_for_body
    }

    /// Bytes that were written so far, of all requests.
    pub(in super::super) fn written(&self) -> u64 {
        self.written
    }

    /// Takes a stream back of which nothing was read. Bytes need not come back: they are shared.
    pub(in super::super) fn take_unread(&mut self) -> Option<Body> {
        match std::mem::take(&mut self.rest) {
            Rest::Frames {
                frames,
                touched: false,
                ..
            } => Some(Body(Inner::Frames(frames))),
            _ => None,
        }
    }

    fn is_out(&self) -> bool {
        self.sent == self.out.len() && self.data.is_empty()
    }

    /// Sends on. Ready when all has been sent, or as much as is not held back.
    pub(in super::super) fn poll<T: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<Result<(), SendError>> {
        self.waits_for_body = false;
        loop {
            while !self.is_out() {
                ready!(self.poll_write(cx, transport)).map_err(SendError::Io)?;
            }
            self.reset_buffer();
            if self.held || matches!(self.rest, Rest::Nothing) {
                return self.poll_flush(cx, transport);
            }
            match self.poll_next(cx) {
                Poll::Ready(staged) => staged.map_err(SendError::Body)?,
                Poll::Pending => {
                    // What was written must not wait in the transport for a body that takes its time.
                    let flushed = self.poll_flush(cx, transport)?;
                    self.waits_for_body = flushed.is_ready();
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_write<T: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<io::Result<()>> {
        let out = &self.out[self.sent..];
        let written = if self.data.is_empty() {
            transport.poll_write(cx, out)
        } else if out.is_empty() {
            transport.poll_write(cx, &self.data)
        } else {
            let parts = [IoSlice::new(out), IoSlice::new(&self.data)];
            transport.poll_write_vectored(cx, &parts)
        };
        let count = ready!(written)?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        self.written += count as u64;
        let of_out = count.min(out.len());
        self.sent += of_out;
        self.data.advance(count - of_out);
        Poll::Ready(Ok(()))
    }

    fn poll_flush<T: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<Result<(), SendError>> {
        if self.unflushed {
            ready!(transport.poll_start_flush(cx)).map_err(SendError::Io)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn reset_buffer(&mut self) {
        self.sent = 0;
        self.out.clear();
        if self.out.capacity() > 2 * JOINED {
            self.out = Vec::new();
        }
    }

    /// Stages the next piece of the body, framed.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let (frames, framing) = match &mut self.rest {
            Rest::Nothing => return Poll::Ready(Ok(())),
            Rest::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.rest = Rest::Nothing;
                self.stage(bytes);
                return Poll::Ready(Ok(()));
            }
            Rest::Frames {
                frames,
                framing,
                touched,
            } => {
                *touched = true;
                (frames, framing)
            }
        };
        let frame = ready!(frames.poll(cx)).transpose()?;
        let data = match frame.map(Frame::into_data) {
            None => {
                framing.end(None, &mut self.out)?;
                self.rest = Rest::Nothing;
                return Poll::Ready(Ok(()));
            }
            Some(Err(frame)) => {
                // Nothing may follow trailers. Other kinds of frames are none of HTTP/1.1's.
                if let Ok(trailers) = frame.into_trailers() {
                    framing.end(Some(&trailers), &mut self.out)?;
                    self.rest = Rest::Nothing;
                }
                return Poll::Ready(Ok(()));
            }
            Some(Ok(data)) => data,
        };
        // An empty chunk would be the last one.
        if !data.is_empty() {
            framing.begin(data.len() as u64, &mut self.out)?;
            self.stage(data);
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a piece behind what is in `out`, copied if it is small.
    fn stage(&mut self, piece: Bytes) {
        if piece.len() <= JOINED {
            self.out.extend_from_slice(&piece);
        } else {
            self.data = piece;
        }
    }
}

impl Framing {
    /// What comes before a piece of this length.
    fn begin(&mut self, length: u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        match self {
            Self::Length(left) => {
                *left = left
                    .checked_sub(length)
                    .ok_or("the body is longer than its announced length")?;
            }
            Self::Chunked { open } => {
                let line = format!("{}{length:x}\r\n", if *open { "\r\n" } else { "" });
                out.extend_from_slice(line.as_bytes());
                *open = true;
            }
        }
        Ok(())
    }

    /// What comes at the end. Trailers need chunks; with a length there is no place for them.
    fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        match self {
            Self::Length(0) => {}
            Self::Length(_) => return Err("the body is shorter than its announced length".into()),
            Self::Chunked { open } => {
                out.extend_from_slice(if *open { b"\r\n0\r\n" } else { b"0\r\n" });
                for (name, value) in trailers.into_iter().flatten() {
                    if is_framing(name) {
                        return Err(format!("`{name}` cannot be a trailer").into());
                    }
                    out.extend_from_slice(name.as_str().as_bytes());
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// Trailers that a server might take for instructions about the message they end (RFC 9110, section 6.5.1).
fn is_framing(name: &http::HeaderName) -> bool {
    use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
    [
        AUTHORIZATION,
        CONTENT_LENGTH,
        HOST,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
    ]
    .contains(name)
}
