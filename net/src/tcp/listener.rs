//! Accepting TCP connections.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use heist_runtime::ops::{Acceptor, SharedFd};
use heist_runtime::time::{Instant, Timer};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::stream::{TcpStream, inet};
use crate::addr::ToSocketAddrs;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;
/// After running out of descriptors, the next accept waits this long.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A socket that accepts TCP connections.
///
/// # Examples
///
/// ```no_run
/// # async fn serve() -> std::io::Result<()> {
/// let mut listener = heist_net::TcpListener::bind("0.0.0.0:8080").await?;
/// loop {
///     let (mut stream, peer) = listener.accept().await?;
///     heist_runtime::spawn(async move {
///         while let Ok(Some(bytes)) = stream.recv().await {
///             if stream.write_all(&bytes).await.is_err() {
///                 break;
///             }
///         }
///         println!("{peer} has left");
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    fd: SharedFd,
    accepting: Mutex<Accepting>,
    waiters: Arc<Waiters>,
}

/// What accepting changes.
#[derive(Debug)]
struct Accepting {
    acceptor: Acceptor,
    pause: Option<Timer>,
}

/// The tasks that wait for a connection: all are woken when one comes, and those that find none wait
/// again. As a rule there is one.
#[derive(Debug, Default)]
struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    fn list(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waker: &Waker) {
        let mut list = self.list();
        if !list.iter().any(|old| old.will_wake(waker)) {
            list.push(waker.clone());
        }
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Outside the lock: a waker may run anything.
        let woken = std::mem::take(&mut *self.list());
        woken.into_iter().for_each(Waker::wake);
    }
}

impl TcpListener {
    /// Binds the first address of `to` that can be had, with `SO_REUSEADDR`, and listens.
    ///
    /// # Errors
    ///
    /// Those of the resolver, or of `bind(2)` and `listen(2)` for the last address tried.
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in to.resolve().await? {
            match Self::bind_one(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "bind: the name has no address")
        }))
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        let fd = SharedFd::new(fd);
        let acceptor = Acceptor::new(fd.clone());
        Self {
            fd,
            accepting: Mutex::new(Accepting {
                acceptor,
                pause: None,
            }),
            waiters: Arc::default(),
        }
    }

    /// Takes over a listening socket of the standard library.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self::from_fd(OwnedFd::from(listener)))
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. When no descriptor is left the error is told and the next call waits a
    /// moment, so that a plain loop does not spin; connections wait in the backlog meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Loses no connection: one that arrives after the drop is there for the next call, and closed with
    /// the listener.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`accept`](Self::accept), for hand-written futures.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        // Before the look: a connection that comes afterwards wakes this task.
        self.waiters.add(cx.waker());
        let waker = Waker::from(self.waiters.clone());
        let outcome = {
            let mut accepting = self
                .accepting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            accepting.poll(&mut Context::from_waker(&waker))
        };
        if outcome.is_ready() {
            // Others may find more.
            waker.wake();
        }
        outcome
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(&SockRef::from(&self.fd).local_addr()?)
    }
}

impl Accepting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            match ready!(self.acceptor.poll_accept(cx)) {
                Ok(fd) => {
                    let stream = TcpStream::from_fd(SharedFd::new(fd));
                    match stream.peer_addr() {
                        Ok(peer) => return Poll::Ready(Ok((stream, peer))),
                        // It was reset before anybody could look at it: as if it had never come.
                        Err(_) => continue,
                    }
                }
                Err(error) => {
                    if is_exhaustion(&error) {
                        self.pause = Some(Timer::new(Instant::now() + EXHAUSTED_PAUSE));
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

/// Whether the process, the system or its memory is exhausted, so that trying again at once is useless.
fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(
        error.raw_os_error(),
        Some(ENOMEM | ENFILE | EMFILE | ENOBUFS)
    )
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
