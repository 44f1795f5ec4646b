//! How long a stream of HTTP/2 may wait for room in its window ([RFC 9113, 5.2]), and how long a tunnel is one.
//!
//! A client may stop reading one response, and go on with others. Its socket takes bytes all the while, so this is seen in
//! the stream's own task only; and there not in the body, as hyper asks that for nothing while it waits. But hyper asks
//! again as soon as it has got rid of what it was given. So the body says when it has given something, and the task, which is
//! polled around it, that nobody has asked since. Both happen within one poll of the task, hence on one thread: they tell
//! each other through [`TOLD`].
//!
//! A part of a body is given in pieces, since it is the asking that tells how a stream gets on. A stream that is given up is
//! dropped, which resets it with `CANCEL`. What hyper has passed on to `h2` with the end of the body, less than a piece, is
//! no longer watched: by then the body has gone, and the connection is idle.
//!
//! [RFC 9113, 5.2]: https://www.rfc-editor.org/rfc/rfc9113#section-5.2

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::body::{Body, Buf, Bytes, Frame, SizeHint};
use ::hyper::service::Service;
use ::hyper::{Method, Request, Response};
use pin_project_lite::pin_project;

use super::metrics::{Account, Tunnel};
use super::silence::Silence;

/// The most that hyper is given at a time: what a frame has at most, unless client and server agree on more.
pub(super) const PIECE: usize = 16 * 1024;

/// What the body of a stream has last done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// It was asked, and gave nothing to send.
    Asked,
    /// It gave something, in this poll of its task.
    Gave,
    /// It gave something in an earlier poll, and was not asked since.
    GaveBefore,
}

/// What a task and its stream tell each other during a poll.
struct Told {
    last: Cell<Last>,
    account: Cell<Option<Arc<Account>>>,
    /// Of the stream that becomes a tunnel in this poll, for the task which that goes on in.
    tunnel: Cell<Option<Tunnel>>,
}

thread_local! {
    static TOLD: Told = const {
        Told {
            last: Cell::new(Last::Asked),
            account: Cell::new(None),
            tunnel: Cell::new(None),
        }
    };
}

/// Leaves nothing to be told to another stream, after a panic either.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        TOLD.with(|told| {
            told.account.take();
            told.tunnel.take();
        });
    }
}

/// The tunnel whose task is being spawned, if it is one's.
fn begun_tunnel() -> Option<Tunnel> {
    TOLD.with(|told| told.tunnel.take())
}

pin_project! {
    /// What hyper runs beside a connection of HTTP/2: a stream, or the sending side of a tunnel.
    pub(super) struct Watched<F> {
        #[pin]
        future: F,
        patience: Option<Duration>,
        last: Last,
        account: Option<Arc<Account>>,
        silence: Silence,
        // A tunnel keeps its connection from being idle.
        _tunnel: Option<Tunnel>,
    }
}

impl<F> Watched<F> {
    /// `patience`: how long the client may leave no room.
    pub(super) fn new(future: F, patience: Option<Duration>) -> Self {
        Self {
            future,
            patience,
            last: Last::Asked,
            account: None,
            silence: Silence::default(),
            _tunnel: begun_tunnel(),
        }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let before = match *this.last {
            Last::Asked => Last::Asked,
            Last::Gave | Last::GaveBefore => Last::GaveBefore,
        };
        TOLD.with(|told| told.last.set(before));
        let forget = Forget;
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        TOLD.with(|told| {
            *this.last = told.last.get();
            if let Some(account) = told.account.take() {
                *this.account = Some(account);
            }
        });
        drop(forget);
        if *this.last != Last::GaveBefore {
            this.silence.end();
        }
        let (true, Some(patience)) = (*this.last != Last::Asked, *this.patience) else {
            return Poll::Pending;
        };
        loop {
            ready!(this.silence.poll(patience, cx));
            match this.account {
                // While the socket is full no stream gets on, and the connection's own clock runs.
                Some(account) if account.blocked_since().is_some() => this.silence.end(),
                Some(account) => {
                    account.leave_unread();
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }
}

/// A service whose responses are sent by tasks that are [`Watched`].
pub(super) struct Streams<S> {
    service: S,
    account: Arc<Account>,
}

impl<S> Streams<S> {
    pub(super) fn new(service: S, account: Arc<Account>) -> Self {
        Self { service, account }
    }
}

impl<S, Q, B> Service<Request<Q>> for Streams<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<Pieces<B>>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn call(&self, mut request: Request<Q>) -> Self::Future {
        let tunnel = (request.method() == Method::CONNECT).then(|| Tunnel::new(&self.account));
        if let Some(tunnel) = &tunnel {
            request.extensions_mut().insert(tunnel.clone());
        }
        Answer {
            future: self.service.call(request),
            account: self.account.clone(),
            tunnel,
        }
    }
}

pin_project! {
    /// A response in the making.
    pub(super) struct Answer<F> {
        #[pin]
        future: F,
        account: Arc<Account>,
        tunnel: Option<Tunnel>,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<Pieces<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let tunnel = this.tunnel.take();
        TOLD.with(|told| {
            told.account.set(Some(this.account.clone()));
            told.tunnel
                .set(tunnel.filter(|_| response.status().is_success()));
        });
        Poll::Ready(Ok(response.map(|body| Pieces { body, rest: None })))
    }
}

pin_project! {
    /// A body that gives no more than a piece at a time, and says when it does.
    pub(super) struct Pieces<B: Body> {
        #[pin]
        body: B,
        rest: Option<B::Data>,
    }
}

impl<B: Body> Body for Pieces<B> {
    type Data = Part<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        TOLD.with(|told| told.last.set(Last::Asked));
        let this = self.project();
        let data = match this.rest.take() {
            Some(rest) => rest,
            None => match ready!(this.body.poll_frame(cx)?) {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => data,
                    Err(other) => return Poll::Ready(Some(Ok(other.map_data(Part::Whole)))),
                },
            },
        };
        // What is empty needs no room.
        if data.has_remaining() {
            TOLD.with(|told| told.last.set(Last::Gave));
        }
        Poll::Ready(Some(Ok(Frame::data(Part::first(data, this.rest)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.size_hint();
        let rest = self.rest.as_ref().map_or(0, |rest| rest.remaining() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// What is given at a time.
pub(super) enum Part<D> {
    Whole(D),
    Piece(Bytes),
}

impl<D: Buf> Part<D> {
    /// The first piece of `data`, and what is left of it. A piece of `Bytes` is no copy.
    fn first(mut data: D, rest: &mut Option<D>) -> Self {
        if data.remaining() <= PIECE {
            return Self::Whole(data);
        }
        let piece = data.copy_to_bytes(PIECE);
        *rest = Some(data);
        Self::Piece(piece)
    }
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Whole(data) => data.remaining(),
            Self::Piece(bytes) => bytes.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Whole(data) => data.chunk(),
            Self::Piece(bytes) => bytes.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, parts: &mut [std::io::IoSlice<'a>]) -> usize {
        match self {
            Self::Whole(data) => data.chunks_vectored(parts),
            Self::Piece(bytes) => bytes.chunks_vectored(parts),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Whole(data) => data.advance(count),
            Self::Piece(bytes) => bytes.advance(count),
        }
    }
}
