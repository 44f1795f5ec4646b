//! Services: those of tower, and how a request is counted.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::body::{Body, Frame, Incoming as Inner, SizeHint};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use pin_project_lite::pin_project;

use super::body::{Incoming, Limit};
use super::metrics::{Account, InFlight};

/// A service of tower's as one of hyper's: each request is given to a clone, which is asked first whether it is ready
/// (hyper-util: the type of the same name). `Router`s of axum and `Routes` of tonic are such services.
#[derive(Debug, Clone, Copy)]
pub struct TowerToHyperService<S> {
    service: S,
}

impl<S> TowerToHyperService<S> {
    /// Wraps a service of tower's.
    pub const fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S, R> Service<R> for TowerToHyperService<S>
where
    S: tower_service::Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Oneshot<S, R>;

    fn call(&self, request: R) -> Self::Future {
        Oneshot {
            state: State::Waiting {
                service: self.service.clone(),
                request: Some(request),
            },
        }
    }
}

pin_project! {
    /// One request to a service of tower's, from [`TowerToHyperService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Oneshot<S: tower_service::Service<R>, R> {
        #[pin]
        state: State<S, S::Future, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<S, F, R> {
        Waiting { service: S, request: Option<R> },
        Called { #[pin] future: F },
    }
}

impl<S: tower_service::Service<R>, R> Future for Oneshot<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let request = request.take().expect("it is called once");
                    let future = service.call(request);
                    this.state.set(State::Called { future });
                }
                StateProjection::Called { future } => return future.poll(cx),
            }
        }
    }
}

/// The service of one connection, which counts. `R` is the body of a request as the service knows it.
pub(super) struct Tracked<S, A, R> {
    service: S,
    account: Arc<Account>,
    /// What each request is told about its connection.
    info: Option<A>,
    /// How long the client may be silent in the middle of a body.
    patience: Option<Duration>,
    body: PhantomData<fn() -> R>,
}

impl<S, A, R> Tracked<S, A, R> {
    pub(super) fn new(
        service: S,
        account: Arc<Account>,
        info: Option<A>,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            service,
            account,
            info,
            patience,
            body: PhantomData,
        }
    }
}

impl<S, A, R: From<Inner> + 'static> Tracked<S, A, R> {
    /// The body as the service knows it, with the limit if it is ours and more of it is to come.
    fn body(&self, body: Inner) -> R {
        let is_whole = body.is_end_stream();
        let mut body = R::from(body);
        if let Some(patience) = self.patience
            && !is_whole
            && let Some(ours) = (&mut body as &mut dyn Any).downcast_mut::<Incoming>()
        {
            let account = self.account.clone();
            ours.limit(Limit { patience, account });
        }
        body
    }
}

impl<S, A, R, B> Service<Request<Inner>> for Tracked<S, A, R>
where
    S: Service<Request<R>, Response = Response<B>>,
    A: Clone + Send + Sync + 'static,
    R: From<Inner> + 'static,
{
    type Response = Response<TrackedBody<B>>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn call(&self, request: Request<Inner>) -> Self::Future {
        let mut request = request.map(|body| self.body(body));
        if let Some(info) = &self.info {
            request.extensions_mut().insert(info.clone());
        }
        Answer {
            in_flight: Some(self.account.begin()),
            future: self.service.call(request),
        }
    }
}

pin_project! {
    /// A response in the making.
    pub(super) struct Answer<F> {
        // Dropped before the count, so that nothing is in flight when its cleanup is over.
        #[pin]
        future: F,
        in_flight: Option<InFlight>,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<TrackedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let in_flight = this.in_flight.take();
        Poll::Ready(Ok(response.map(|body| TrackedBody {
            body,
            _in_flight: in_flight,
        })))
    }
}

pin_project! {
    /// A body whose request is in flight until it is dropped.
    pub(super) struct TrackedBody<B> {
        #[pin]
        body: B,
        _in_flight: Option<InFlight>,
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
