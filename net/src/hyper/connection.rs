//! One connection, from its handshake to its end.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::hyper::body::{Body, Incoming as Inner};
use ::hyper::server::conn::{http1, http2};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use heist_runtime::time::{Instant, Timer};
use heist_sync::CancelToken;
use pin_project_lite::pin_project;

use super::clock::{Clock, Expired};
use super::executor::HeistExecutor;
use super::info::ConnectionInfo;
use super::metrics::{Account, Opened, ServerMetrics};
use super::preface::{Opening, Protocol};
use super::service::Tracked;
use super::settings::{Patience, Versions};
use super::stream::{Counted, Transport};
use super::window::Streams;
use crate::io::{AsyncRead, AsyncWrite, Compat};
#[cfg(feature = "tls")]
use crate::tls::TlsAcceptor;

/// How long a connection may still begin a request when the server ends: what its client has sent may be on the way.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// What all connections of a server have in common.
pub(super) struct Server {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<HeistExecutor>,
    pub(super) versions: Versions,
    pub(super) patience: Patience,
    pub(super) connection_info: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) metrics: ServerMetrics,
    pub(super) ending: Ending,
}

/// Whether the server ends.
#[derive(Default)]
pub(super) struct Ending {
    /// To be looked at often: the token has a lock, which all connections share.
    has_begun: AtomicBool,
    token: CancelToken,
}

/// A connection on which it is known what is spoken.
struct Open<I, A> {
    transport: Transport<I>,
    protocol: Protocol,
    info: ConnectionInfo<A>,
    /// When its first bytes could have come: from here on a head takes its time, whatever it begins with.
    began: Instant,
}

/// Why a connection ended before a request.
enum Early {
    TimedOut,
    /// The server ends.
    Closed,
    Failed,
}

/// What hyper makes of a connection.
type Http1<I, S, A, R> = http1::UpgradeableConnection<Compat<Transport<I>>, Tracked<S, A, R>>;
type Http2<I, S, A, R> =
    http2::Connection<Compat<Transport<I>>, Streams<Tracked<S, A, R>>, HeistExecutor>;

pin_project! {
    #[project = ConversationProjection]
    enum Conversation<I, S, A, R, B>
    where
        S: Service<Request<R>, Response = Response<B>>,
        S::Error: Into<Box<dyn StdError + Send + Sync>>,
        A: Clone,
        A: Send,
        A: Sync,
        A: 'static,
        R: From<Inner>,
        R: 'static,
        B: Body,
    {
        Http1 { #[pin] connection: Http1<I, S, ConnectionInfo<A>, R> },
        Http2 { #[pin] connection: Http2<I, S, ConnectionInfo<A>, R> },
    }
}

impl Ending {
    /// Tells all connections.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Release);
        self.token.cancel();
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Acquire)
    }
}

impl Server {
    /// Serves a connection to its end.
    pub(super) async fn serve<I, A, S, R, B>(
        self: Arc<Self>,
        stream: I,
        remote: A,
        opened: Opened,
        service: S,
    ) where
        I: AsyncRead + AsyncWrite + Send + 'static,
        A: Clone + Send + Sync + 'static,
        S: Service<Request<R>, Response = Response<B>> + Send + 'static,
        R: From<Inner> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn StdError + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let account = opened.account.clone();
        let info = ConnectionInfo {
            id: account.id(),
            remote,
            #[cfg(feature = "tls")]
            tls: None,
        };
        let end = match self.open(Counted::new(stream, opened), info).await {
            Ok(Some(open)) => {
                let info = self.connection_info.then(|| open.info.clone());
                let patience = self.patience.body;
                let service = Tracked::new(service, account.clone(), info, patience);
                self.converse(open, service, &account).await
            }
            Ok(None) => Ok(()),
            Err(early) => Err(early),
        };
        match end {
            Ok(()) | Err(Early::Closed) => return,
            Err(Early::TimedOut) => self.metrics.timed_out(),
            Err(Early::Failed) => {}
        }
        if account.requests() == 0 {
            self.metrics.refused();
        }
    }

    /// The handshake of TLS, and the first bytes. `None`: the client has gone without a word.
    async fn open<I, A>(
        &self,
        stream: Counted<I>,
        info: ConnectionInfo<A>,
    ) -> Result<Option<Open<I, A>>, Early>
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        #[cfg(feature = "tls")]
        let (mut transport, agreed, info) = self.secure(stream, info).await?;
        #[cfg(not(feature = "tls"))]
        let (mut transport, agreed) = (Transport::Plain(stream), None);
        let expected = match self.versions {
            Versions::Both => agreed,
            Versions::Http1 => Some(Protocol::Http1),
            Versions::Http2 => Some(Protocol::Http2),
        };
        let began = Instant::now();
        let mut opening = Opening::default();
        let mut last_chance = None;
        let first = poll_fn(|cx| {
            let polled = opening.poll(&mut transport, cx);
            if polled.is_ready() {
                return polled.map(|first| first.map_err(|_| Early::Failed));
            }
            // A client that has begun is waited for as any other.
            if opening.has_begun() || !self.ending.has_begun() {
                return Poll::Pending;
            }
            let chance =
                last_chance.get_or_insert_with(|| Timer::new(Instant::now() + LAST_CHANCE));
            Pin::new(chance).poll(cx).map(|()| Err(Early::Closed))
        });
        let first = self.in_time(self.patience.head, false, first).await?;
        Ok(first.map(|seen| Open {
            transport,
            protocol: expected.unwrap_or(seen),
            info,
            began,
        }))
    }

    #[cfg(feature = "tls")]
    async fn secure<I, A>(
        &self,
        stream: Counted<I>,
        mut info: ConnectionInfo<A>,
    ) -> Result<(Transport<I>, Option<Protocol>, ConnectionInfo<A>), Early>
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Some(acceptor) = &self.tls else {
            return Ok((Transport::Plain(stream), None, info));
        };
        let handshake = async {
            let accepted: std::io::Result<_> = acceptor.accept(stream).await;
            accepted.map_err(|_| Early::Failed)
        };
        let stream = (self.in_time(self.patience.handshake, true, handshake)).await?;
        let agreed = match stream.alpn_protocol() {
            Some(b"h2") => Some(Protocol::Http2),
            Some(_) => Some(Protocol::Http1),
            None => None,
        };
        if self.connection_info {
            info.tls = Some(Arc::new(super::info::TlsInfo::of(&stream)));
        }
        Ok((Transport::Tls(Box::new(stream)), agreed, info))
    }

    /// Waits for `future`, if it does not take too long; and if `ends` only while the server does not end. Otherwise the
    /// end of the server is a reason to look at it again.
    async fn in_time<T>(
        &self,
        patience: Option<Duration>,
        ends: bool,
        future: impl Future<Output = Result<T, Early>>,
    ) -> Result<T, Early> {
        let mut future = pin!(future);
        let mut shutdown = pin!(self.ending.token.cancelled());
        let mut has_ended = false;
        let mut timer = None;
        poll_fn(|cx| {
            if !has_ended && shutdown.as_mut().poll(cx).is_ready() {
                has_ended = true;
                if ends {
                    return Poll::Ready(Err(Early::Closed));
                }
            }
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let Some(patience) = patience else {
                return Poll::Pending;
            };
            // Made when it is needed: what is there already needs none.
            let timer =
                timer.get_or_insert_with(|| Timer::new(Instant::now().saturating_add(patience)));
            Pin::new(timer).poll(cx).map(|()| Err(Early::TimedOut))
        })
        .await
    }

    /// Requests and responses, to the end of the connection.
    async fn converse<I, A, S, R, B>(
        &self,
        open: Open<I, A>,
        service: Tracked<S, ConnectionInfo<A>, R>,
        account: &Arc<Account>,
    ) -> Result<(), Early>
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
        A: Clone + Send + Sync + 'static,
        S: Service<Request<R>, Response = Response<B>> + Send + 'static,
        R: From<Inner> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn StdError + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Open {
            transport,
            protocol,
            began,
            info: _,
        } = open;
        let io = Compat::new(transport);
        let mut conversation = pin!(match protocol {
            Protocol::Http1 => Conversation::Http1 {
                connection: self.http1.serve_connection(io, service).with_upgrades(),
            },
            Protocol::Http2 => Conversation::Http2 {
                connection: (self.http2)
                    .serve_connection(io, Streams::new(service, account.clone())),
            },
        });
        let mut clock = Clock::new(account.clone(), self.patience, protocol, began);
        let mut notice = Notice::default();
        let mut shutdown = pin!(self.ending.token.cancelled());
        poll_fn(|cx| {
            // First, so that a request that is here already is begun: hyper closes what has not begun.
            if let Poll::Ready(end) = conversation.as_mut().poll(cx) {
                return Poll::Ready(end.map_err(|_| Early::Failed));
            }
            if notice.poll(cx, &self.ending, shutdown.as_mut()) {
                conversation.as_mut().close();
                clock.close();
                if let Poll::Ready(end) = conversation.as_mut().poll(cx) {
                    return Poll::Ready(end.map_err(|_| Early::Failed));
                }
            }
            loop {
                match std::task::ready!(clock.poll(cx)) {
                    // It is asked to close, as it should be told why.
                    Expired::Idle => {
                        conversation.as_mut().close();
                        clock.close();
                        self.metrics.timed_out();
                        if conversation.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Expired::Closing => return Poll::Ready(Err(Early::Closed)),
                    Expired::Head | Expired::Write => return Poll::Ready(Err(Early::TimedOut)),
                }
            }
        })
        .await
    }
}

/// Whether the server ends, asked at every poll of a connection: it waits for that once, since the list of those who wait
/// belongs to all.
#[derive(Default)]
struct Notice {
    waker: Option<Waker>,
    is_over: bool,
}

impl Notice {
    /// Whether it is to be told now.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ending: &Ending,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        if self.is_over {
            return false;
        }
        let waits = |waker: &Waker| waker.will_wake(cx.waker());
        if self.waker.as_ref().is_some_and(waits) && !ending.has_begun() {
            return false;
        }
        self.is_over = shutdown.poll(cx).is_ready();
        self.waker = (!self.is_over).then(|| cx.waker().clone());
        self.is_over
    }
}

impl<I, S, A, R, B> Conversation<I, S, A, R, B>
where
    I: AsyncRead + AsyncWrite + Send + 'static,
    A: Clone + Send + Sync + 'static,
    S: Service<Request<R>, Response = Response<B>> + Send + 'static,
    R: From<Inner> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<::hyper::Result<()>> {
        match self.project() {
            ConversationProjection::Http1 { connection } => connection.poll(cx),
            ConversationProjection::Http2 { connection } => connection.poll(cx),
        }
    }

    /// Lets what is under way be the last.
    fn close(self: Pin<&mut Self>) {
        match self.project() {
            ConversationProjection::Http1 { connection } => connection.graceful_shutdown(),
            ConversationProjection::Http2 { connection } => connection.graceful_shutdown(),
        }
    }
}
