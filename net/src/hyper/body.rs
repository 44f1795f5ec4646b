//! The body of a request, which may not stop in the middle.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Bytes, Frame, Incoming as Inner, SizeHint};

use super::metrics::Account;
use super::silence::Silence;

/// The body of a request as it comes in (hyper: the type of the same name).
///
/// Differs from hyper's: a client that stops sending in the middle fails it, after the time that
/// [`Serve::body_read_timeout`](super::Serve::body_read_timeout) says, and its errors are those of [`std::io`].
///
/// # Errors
///
/// `TimedOut` when the client has sent nothing for too long while somebody was waiting for it; `UnexpectedEof` when it has
/// gone; and others as hyper tells them. Nothing comes after an error, and with HTTP/1 the connection is closed after the
/// response.
///
/// # Cancel safety
///
/// A frame that is waited for is not lost. Dropped before its end, HTTP/1 closes the connection after the response, and
/// HTTP/2 resets the stream.
pub struct Incoming {
    body: Inner,
    limit: Option<Limit>,
    silence: Silence,
    has_failed: bool,
}

/// How long a client may be silent, and whose client it is.
pub(super) struct Limit {
    pub(super) patience: Duration,
    pub(super) account: Arc<Account>,
}

impl Incoming {
    /// From now on the client may not be silent for longer.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.limit = Some(limit);
    }
}

/// Without a limit.
impl From<Inner> for Incoming {
    fn from(body: Inner) -> Self {
        Self {
            body,
            limit: None,
            silence: Silence::default(),
            has_failed: false,
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.has_failed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.silence.end();
            this.has_failed = matches!(frame, Some(Err(_)));
            return Poll::Ready(frame.map(|frame| frame.map_err(into_io)));
        }
        let Some(Limit { patience, account }) = &this.limit else {
            return Poll::Pending;
        };
        std::task::ready!(this.silence.poll(*patience, cx));
        account.stall();
        this.has_failed = true;
        let message = format!("the client has sent nothing more of the body for {patience:?}");
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, message))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn into_io(error: ::hyper::Error) -> io::Error {
    let kind = if error.is_incomplete_message() {
        io::ErrorKind::UnexpectedEof
    } else if error.is_timeout() {
        io::ErrorKind::TimedOut
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, error)
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("body", &self.body)
            .field("limit", &self.limit.as_ref().map(|limit| limit.patience))
            .finish_non_exhaustive()
    }
}
