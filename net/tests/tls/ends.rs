//! Both ends of a connection, and a stream that is slow in every way.

use std::io;
use std::task::{Context, Poll, ready};

use heist_net::TcpStream;
use heist_net::io::{AsyncRead, AsyncWrite, Unread};
use heist_net::tls::{Error, TlsAcceptor, TlsConnector, TlsConnectorBuilder, TlsStream};
use heist_net::{RecvBuf, tls};
use heist_runtime::spawn;

use crate::certificates::Authority;
use crate::support::{Chance, pair};

/// A connector that trusts nobody else.
pub(crate) fn trusting(authority: &Authority) -> TlsConnectorBuilder {
    TlsConnector::builder()
        .built_in_root_certs(false)
        .add_root_certificate(authority.root())
}

/// An acceptor for `a.test`, and a connector that trusts it.
pub(crate) fn friends() -> (TlsConnector, TlsAcceptor) {
    let authority = Authority::new();
    let identity = authority.issue(&["a.test"]).identity();
    let acceptor = TlsAcceptor::new(identity).unwrap();
    (trusting(&authority).build().unwrap(), acceptor)
}

/// What came of a handshake at both ends.
pub(crate) type Ends<S> = (io::Result<TlsStream<S>>, io::Result<TlsStream<S>>);

/// Lets two streams shake hands.
pub(crate) async fn shake<S>(
    connector: &TlsConnector,
    acceptor: &TlsAcceptor,
    name: &str,
    (client, server): (S, S),
) -> Ends<S>
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let acceptor = acceptor.clone();
    let accepting = spawn(async move { acceptor.accept(server).await });
    let connected = connector.connect(name, client).await;
    (connected, accepting.await.unwrap())
}

/// The same over TCP.
pub(crate) async fn shake_tcp(
    connector: &TlsConnector,
    acceptor: &TlsAcceptor,
    name: &str,
) -> Ends<TcpStream> {
    shake(connector, acceptor, name, pair().await).await
}

/// Two ends that trust each other.
pub(crate) async fn secure_pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (connector, acceptor) = friends();
    let (client, server) = shake_tcp(&connector, &acceptor, "a.test").await;
    (client.unwrap(), server.unwrap())
}

/// The TLS error inside.
pub(crate) fn cause<T>(outcome: io::Result<T>) -> Error {
    let error = outcome.err().expect("it worked");
    tls::Error::of(&error)
        .unwrap_or_else(|| panic!("no TLS error: {error}"))
        .clone()
}

/// Takes and gives a few bytes at a time, and is pending at random.
pub(crate) struct Slow<S> {
    inner: S,
    unread: Unread,
    most: usize,
    chance: Chance,
}

impl<S> Slow<S> {
    pub(crate) fn new(inner: S, most: usize, seed: u64) -> Self {
        Self {
            inner,
            unread: Unread::new(),
            most,
            chance: Chance::new(seed),
        }
    }

    fn hesitate(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.chance.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead> AsyncRead for Slow<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        ready!(self.hesitate(cx));
        if self.unread.is_empty() {
            let Some(bytes) = ready!(self.inner.poll_recv(cx))? else {
                return Poll::Ready(Ok(None));
            };
            self.unread.put_back(bytes);
        }
        let count = self.unread.len().min(1 + self.chance.below(self.most));
        let part = self.unread[..count].to_vec();
        self.unread.consume(count);
        Poll::Ready(Ok(Some(part.into())))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

impl<S: AsyncWrite> AsyncWrite for Slow<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.hesitate(cx));
        let count = bytes.len().min(1 + self.chance.below(self.most));
        self.inner.poll_write(cx, &bytes[..count])
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.hesitate(cx));
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.hesitate(cx));
        self.inner.poll_shutdown(cx)
    }
}
