//! One connection: a transport and its codec.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use heist_runtime::time::Instant;
use http::header::EXPECT;
use http::{HeaderMap, Method, Version};

use super::arrived::Arrived;
use super::body::{Body, BoxError, SendError, Upload};
use super::h1::{
    Connection, Error as CodecError, Event, Limits, RequestBody, RequestHead, ResponseHead,
};
use super::keeper::{Bell, Watch};
use super::metrics::{Account, Counters};
use super::pool::HostId;
use super::proxy::Server;
use super::request::Request;
use super::total::Permit;
use super::transport::Transport;
use super::url::{absolute_target, target};
use crate::RecvBuf;
use crate::io::AsyncRead;

/// How long a connection has to be idle before it is worth a system call to see whether it is still open.
const JUST_NOW: Duration = Duration::from_millis(1);

/// A connection that can carry one exchange after another.
///
/// Both directions are driven by whoever waits for the response: [`poll_head`](Self::poll_head) and
/// [`poll_body`](Self::poll_body) send on what is left of the request before they receive. So a server
/// may answer while it still reads, and neither side waits for the other.
#[derive(Debug)]
pub(super) struct Link {
    transport: Transport,
    codec: Connection,
    upload: Upload,
    remote: SocketAddr,
    /// The server is a proxy that passes requests on.
    forward: Option<Arc<Server>>,
    /// Why sending stopped; told unless an answer comes all the same.
    send_error: Option<io::Error>,
    /// What was wrong with body bytes that came along with the head, for the first to ask for the body.
    deferred: Option<LinkError>,
    /// The trailers of the response, once they have come.
    trailers: Option<Box<HeaderMap>>,
    /// What came along with a head that switched protocols.
    tunnelled: Vec<u8>,
    /// Bytes that were received, of all responses.
    received: u64,
    /// Exchanges so far.
    served: u64,
    /// Tells it apart from all others.
    token: u64,
    /// Tells the pool's keeper what happens while it is idle.
    watch: Option<Watched>,
    /// Since when it is idle, if it is watched.
    idle_since: Option<Instant>,
    account: Account,
    /// The right to be open, if there is a limit for all.
    _permit: Option<Permit>,
}

/// A watch, and the waker that is made of it.
#[derive(Debug)]
struct Watched {
    watch: Arc<Watch>,
    waker: Waker,
}

/// Why an exchange failed on this connection.
#[derive(Debug)]
pub(super) enum LinkError {
    Io(io::Error),
    Codec(CodecError),
    /// The request could not be sent.
    Send(io::Error),
    /// The body of the request failed.
    Body(BoxError),
}

/// A response head, and what came of the body along with it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) head: ResponseHead,
    pub(super) body: Arrived,
    /// Whether that is the whole body.
    pub(super) ended: bool,
    /// The connection speaks another protocol from here on.
    pub(super) tunnel: bool,
    pub(super) trailers: Option<Box<HeaderMap>>,
}

impl Link {
    pub(super) fn new(
        transport: Transport,
        remote: SocketAddr,
        limits: Limits,
        account: Account,
        permit: Option<Permit>,
    ) -> Self {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        Self {
            transport,
            codec: Connection::new(limits),
            upload: Upload::default(),
            remote,
            forward: None,
            send_error: None,
            deferred: None,
            trailers: None,
            tunnelled: Vec::new(),
            received: 0,
            served: 0,
            token: TOKENS.fetch_add(1, Relaxed),
            watch: None,
            idle_since: None,
            account,
            _permit: permit,
        }
    }

    /// Where it is accounted for.
    pub(super) fn counters(&self) -> &Counters {
        self.account.counters()
    }

    /// By which its watch names it; never 0.
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// Ends an exchange: adds up what was sent and received. Returns how many there were.
    pub(super) fn settle(&mut self) -> u64 {
        self.served += 1;
        self.account.settle(self.upload.written(), self.received);
        self.served
    }

    /// Makes a watch for this connection, or takes the one that it has.
    pub(super) fn watch_by(&mut self, bell: &Arc<Bell>, host: HostId) -> Arc<Watch> {
        let token = self.token;
        let make = || {
            let watch = Watch::new(bell.clone(), host, token);
            let waker = Waker::from(watch.clone());
            Watched { watch, waker }
        };
        self.watch.get_or_insert_with(make).watch.clone()
    }

    /// Watches a connection that is idle from `now` on, until it is used again. Returns whether it is quiet, and has a
    /// watch.
    pub(super) fn watch(&mut self, now: Instant) -> bool {
        self.idle_since = None;
        let Some(Watched { watch, waker }) = &self.watch else {
            return false;
        };
        watch.reset();
        let received = self.transport.poll_recv(&mut Context::from_waker(waker));
        if received.is_pending() {
            self.idle_since = Some(now);
        }
        received.is_pending()
    }

    /// Whether it has only just become idle, and nothing was heard of it since. A look at the socket would hardly see
    /// more than that.
    pub(super) fn is_just_idle(&self, now: Instant) -> bool {
        let quiet = (self.watch.as_ref()).is_some_and(|it| !it.watch.has_fired());
        quiet && (self.idle_since).is_some_and(|since| now.duration_since(since) < JUST_NOW)
    }

    /// The server is a proxy that passes requests on.
    pub(super) fn set_forward(&mut self, proxy: Arc<Server>) {
        self.forward = Some(proxy);
    }

    /// The server's address.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether another exchange may follow.
    pub(super) fn can_reuse(&self) -> bool {
        self.upload.is_complete() && self.deferred.is_none() && self.codec.can_reuse()
    }

    /// Whether any byte of the response has arrived.
    pub(super) fn has_response_started(&self) -> bool {
        self.codec.has_response_started()
    }

    /// Polls whether an idle connection is still open and silent.
    ///
    /// A server that closes an idle connection often says something first (such as 408), and
    /// those bytes would be taken for the response to the next request. One look at the socket,
    /// without waiting, costs less than half a microsecond. It cannot see what arrives later;
    /// the retry of stale connections is for that.
    pub(super) fn poll_is_quiet(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.transport.poll_is_quiet(cx)
    }

    /// Takes a request to be sent. If it is refused nothing is sent, and the connection is as it was.
    pub(super) fn start(
        &mut self,
        request: &mut Request,
        defaults: &HeaderMap,
    ) -> Result<(), CodecError> {
        let body = match &request.body {
            Some(body) => body
                .content_length()
                .map_or(RequestBody::Chunked, RequestBody::Length),
            // Servers expect these methods to say that there is no body.
            None if [Method::POST, Method::PUT, Method::PATCH].contains(&request.method) => {
                RequestBody::Length(0)
            }
            None => RequestBody::None,
        };
        let with_proxy;
        let (target, defaults) = match &self.forward {
            Some(proxy) => {
                with_proxy = proxy.add_to(defaults);
                (absolute_target(&request.url), &with_proxy)
            }
            None => (target(&request.url), defaults),
        };
        let head = RequestHead {
            method: &request.method,
            target,
            host: request.url.host_str().unwrap_or_default(),
            port: request.url.port(),
            headers: &request.headers,
            defaults,
            version: request.version.unwrap_or(Version::HTTP_11),
            body,
        };
        let out = self.upload.start();
        self.codec.encode_request(&head, out)?;
        if let Some(body) = request.lend_body() {
            let expects =
                |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            let held = request.headers.get(EXPECT).is_some_and(expects);
            self.upload.attach(body, held);
        }
        Ok(())
    }

    /// Whether the body waits for the server to ask for it.
    pub(super) fn is_held(&self) -> bool {
        self.upload.is_held()
    }

    /// Whether it did to the end of the exchange, so that none of it was sent.
    pub(super) fn was_held(&self) -> bool {
        self.upload.was_held()
    }

    /// Sends the body without being asked for it.
    pub(super) fn release(&mut self) {
        self.upload.release();
    }

    /// Whether there is something to send that is not held back.
    pub(super) fn is_sending(&self) -> bool {
        self.upload.is_active() && !self.upload.is_held()
    }

    /// Whether the server cannot be blamed for a wait, as it is the body of the request that is late.
    pub(super) fn waits_for_body(&self) -> bool {
        self.upload.is_active() && self.upload.waits_for_body()
    }

    /// Changes whenever something was sent or received.
    pub(super) fn progress(&self) -> u64 {
        self.received.wrapping_add(self.upload.written())
    }

    /// The body of a request that failed, if it can be sent elsewhere although it is a stream.
    pub(super) fn take_unread_body(&mut self) -> Option<Body> {
        self.upload.take_unread()
    }

    /// The trailers of the response whose end was received.
    pub(super) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// The connection after a response that switched protocols, and what came behind its head.
    pub(super) fn into_tunnel(mut self) -> (Transport, Vec<u8>) {
        self.settle();
        (self.transport, self.tunnelled)
    }

    /// Sends on. Only the body's own error is one here: what the socket has to say about it, a response
    /// that has come all the same may say better.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        if !self.upload.is_active() {
            return Ok(());
        }
        match self.upload.poll(cx, &mut self.transport) {
            Poll::Ready(Err(SendError::Body(error))) => {
                self.upload.abandon();
                Err(LinkError::Body(error))
            }
            Poll::Ready(Err(SendError::Io(error))) => {
                self.upload.abandon();
                self.send_error = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Sends, and receives until the head is complete.
    ///
    /// What came of the body in the same buffer is taken along, so that it waits for the caller in one place.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        self.poll_upload(cx)?;
        let received = ready!(self.poll_response(cx));
        Poll::Ready(match (received, self.send_error.take()) {
            (Err(_), Some(error)) => Err(LinkError::Send(error)),
            (received, _) => received,
        })
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        loop {
            let Some(buffer) = ready!(self.transport.poll_recv(cx))? else {
                // Without a head even a close-delimited body has not begun.
                let early = self
                    .codec
                    .eof()
                    .err()
                    .unwrap_or(CodecError::ClosedBeforeResponse);
                return Poll::Ready(Err(early.into()));
            };
            self.received += buffer.len() as u64;
            let (used, event) = self.codec.receive(&buffer)?;
            // Before the head there is nothing but the wish for more, and then the buffer is used
            // up: informational responses are skipped inside the codec.
            if let Event::Head(head) = event {
                return Poll::Ready(Ok(self.receive_rest(head, buffer, used)));
            }
            if self.upload.is_held() && self.codec.has_continued() {
                self.upload.release();
                self.poll_upload(cx)?;
            }
        }
    }

    /// Takes the head, and what came behind it.
    fn receive_rest(&mut self, head: ResponseHead, buffer: RecvBuf, used: usize) -> Received {
        let status = head.status();
        // Who refuses a request has no use for the rest of it, nor has who did not wait for it.
        if status.is_client_error() || status.is_server_error() || self.upload.is_held() {
            self.upload.abandon();
        }
        let mut body = Arrived::default();
        // What is wrong behind the head is the body's affair: the caller gets the head first.
        let ended = match self.absorb(buffer, used, &mut body) {
            Ok(ended) => ended,
            Err(error) => {
                self.deferred = Some(error);
                false
            }
        };
        Received {
            head,
            body,
            ended,
            tunnel: self.codec.is_tunnel(),
            trailers: self.trailers.take(),
        }
    }

    /// Sends on, receives one buffer and appends what it holds of the body. Ready with whether the body
    /// has ended. Loses nothing: bytes are taken from the socket in the same poll in which they are
    /// decoded.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Arrived,
    ) -> Poll<Result<bool, LinkError>> {
        self.poll_upload(cx)?;
        if let Some(error) = self.deferred.take() {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(match ready!(self.transport.poll_recv(cx))? {
            Some(buffer) => {
                self.received += buffer.len() as u64;
                self.absorb(buffer, 0, sink)
            }
            None => {
                self.codec.eof()?;
                Ok(true)
            }
        })
    }

    /// Decodes body bytes, of which so many were `used`. A buffer with a single stretch of them is lent, if that is
    /// worth it.
    fn absorb(
        &mut self,
        buffer: RecvBuf,
        mut used: usize,
        sink: &mut Arrived,
    ) -> Result<bool, LinkError> {
        let mut only: Option<Range<usize>> = None;
        let ended = loop {
            let (more, event) = match self.codec.receive(&buffer[used..]) {
                Ok(received) => received,
                Err(error) => break Err(error.into()),
            };
            used += more;
            match event {
                Event::Data(data) => {
                    // It lies at the end of what was used.
                    let part = used - data.len()..used;
                    if sink.is_empty() && only.is_none() {
                        only = Some(part);
                        continue;
                    }
                    let memory = sink.in_memory();
                    if let Some(first) = only.take() {
                        // All of the body that can follow in this buffer, in one allocation.
                        memory.reserve(buffer.len() - first.start);
                        memory.extend_from_slice(&buffer[first]);
                    }
                    memory.extend_from_slice(&buffer[part]);
                }
                Event::Head(_) => {}
                Event::Trailers(trailers) => self.trailers = Some(Box::new(trailers)),
                Event::NeedMore => break Ok(false),
                Event::End => {
                    if self.codec.is_tunnel() {
                        self.tunnelled.extend_from_slice(&buffer[used..]);
                    }
                    break Ok(true);
                }
            }
        };
        if let Some(part) = only {
            sink.lend(buffer, part);
        }
        ended
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
