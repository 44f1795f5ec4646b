//! The body of a request, shared with the one who waits for the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::http::body::{Body, BoxError};

/// The end of a body that hyper has.
#[derive(Debug)]
pub(super) struct Outgoing {
    shared: Arc<Shared>,
    length: Option<u64>,
    left: Option<u64>,
    /// Nothing is left of it.
    empty: bool,
}

/// The other end. Dropped before all was sent, it has the stream reset.
#[derive(Debug)]
pub(super) struct Upload(Arc<Shared>);

#[derive(Debug)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Absent while it is polled, and at the end.
    body: Option<Body>,
    /// A frame was asked for: it cannot be sent a second time.
    touched: bool,
    /// All was sent, or it failed.
    over: bool,
    waits_for_body: bool,
    cancelled: bool,
    sent: u64,
    error: Option<BoxError>,
    /// Hyper's task.
    sender: Option<Waker>,
    /// Who waits for the answer, and is told of the end.
    watcher: Option<Waker>,
}

/// The two ends of a body.
pub(super) fn upload(body: Option<Body>) -> (Outgoing, Upload) {
    let length = body.as_ref().map_or(Some(0), Body::content_length);
    let empty = body.as_ref().is_none_or(HttpBody::is_end_stream);
    let state = State {
        body,
        over: empty,
        ..State::default()
    };
    let shared = Arc::new(Shared(Mutex::new(state)));
    let outgoing = Outgoing {
        shared: shared.clone(),
        length,
        left: length,
        empty,
    };
    (outgoing, Upload(shared))
}

impl Shared {
    /// The code of a body never runs under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Whether there is something left to send. `waker` is woken at the end.
    pub(super) fn is_sending(&self, waker: &Waker) -> bool {
        let mut state = self.0.lock();
        if !state.over {
            match &mut state.watcher {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        !state.over
    }

    /// Whether all was sent, or given up.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().over
    }

    /// Whether it is the body that is late.
    pub(super) fn waits_for_body(&self) -> bool {
        self.0.lock().waits_for_body
    }

    /// Bytes that were taken from the body.
    pub(super) fn sent(&self) -> u64 {
        self.0.lock().sent
    }

    /// Why the body failed.
    pub(super) fn take_error(&self) -> Option<BoxError> {
        self.0.lock().error.take()
    }

    /// The body of a request that failed, if it can be sent elsewhere although it is a stream.
    pub(super) fn take_unread(&self) -> Option<Body> {
        let mut state = self.0.lock();
        if state.touched {
            return None;
        }
        state.cancelled = true;
        state.body.take()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.cancelled = true;
        let (body, sender) = (state.body.take(), state.sender.take());
        drop(state);
        drop(body);
        if let Some(sender) = sender {
            sender.wake();
        }
    }
}

impl Outgoing {
    /// Takes a frame from the body, which it checks against the announced length.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Body,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match body.poll_source(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        let Some(left) = &mut self.left else {
            return Poll::Ready(frame);
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match left.checked_sub(length) {
                    Some(less) => {
                        *left = less;
                        Some(Ok(frame))
                    }
                    None => Some(Err("the body is longer than its announced length".into())),
                }
            }
            None if *left > 0 => Some(Err("the body is shorter than its announced length".into())),
            other => other,
        })
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if state.cancelled {
            return Poll::Ready(Some(Err("nobody waits for the answer any more".into())));
        }
        state.touched = true;
        let Some(mut body) = state.body.take() else {
            return Poll::Ready(None);
        };
        drop(state);
        let polled = self.poll_body(cx, &mut body);
        let mut state = shared.lock();
        state.waits_for_body = polled.is_pending();
        let ended;
        let frame = match polled {
            Poll::Pending if !state.cancelled => {
                state.body = Some(body);
                state.sender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Pending => {
                ended = body;
                Some(Err("nobody waits for the answer any more".into()))
            }
            Poll::Ready(Some(Ok(frame))) => {
                state.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                if !body.is_end_stream() {
                    state.body = Some(body);
                    return Poll::Ready(Some(Ok(frame)));
                }
                ended = body;
                Some(Ok(frame))
            }
            Poll::Ready(Some(Err(error))) => {
                ended = body;
                state.error = Some(error);
                Some(Err("the request's body failed".into()))
            }
            Poll::Ready(None) => {
                ended = body;
                None
            }
        };
        state.over = true;
        self.empty = true;
        let watcher = state.watcher.take();
        drop(state);
        drop(ended);
        if let Some(watcher) = watcher {
            watcher.wake();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.empty
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
