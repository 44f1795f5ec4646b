//! What hickory needs of a runtime: sockets, time, and tasks.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_runtime::ops::{self, Op, PollReady};
use heist_runtime::spawn;
use heist_runtime::time::{Instant, Timer};
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};

use crate::io::Compat;
use crate::ready::{READABLE, WRITABLE};
use crate::{TcpSocket, TcpStream, UdpSocket};

/// How long a connection to a name server may take, if hickory does not say.
const CONNECT: Duration = Duration::from_secs(5);

/// This runtime, to hickory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider;

/// Spawns tasks on whatever runtime a lookup runs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks;

impl Spawn for Tasks {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        drop(spawn(future));
    }
}

/// The clock and the timers of the runtime.
#[derive(Debug, Clone, Copy)]
#[expect(
    unnameable_types,
    reason = "a public type has it as an associated type"
)]
pub struct Clock;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A timer; none if the clock does not reach that far.
fn timer(duration: Duration) -> Option<Timer> {
    Instant::now().checked_add(duration).map(Timer::new)
}

/// Whether the time is over.
fn poll_timer(timer: &mut Option<Timer>, cx: &mut Context<'_>) -> Poll<()> {
    match timer {
        Some(timer) => Pin::new(timer).poll(cx),
        None => Poll::Pending,
    }
}

async fn within<F: Future>(duration: Duration, future: F) -> io::Result<F::Output> {
    let (mut future, mut timer) = (pin!(future), timer(duration));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        poll_timer(&mut timer, cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}

// The trait's methods are written as `async_trait` would write them.
impl Time for Clock {
    fn delay_for<'async_trait>(duration: Duration) -> Boxed<'async_trait, ()> {
        Box::pin(async move {
            let mut timer = timer(duration);
            poll_fn(|cx| poll_timer(&mut timer, cx)).await;
        })
    }

    fn timeout<'async_trait, F>(
        duration: Duration,
        future: F,
    ) -> Boxed<'async_trait, io::Result<F::Output>>
    where
        F: 'static + Future + Send + 'async_trait,
    {
        Box::pin(within(duration, future))
    }
}

impl RuntimeProvider for Provider {
    type Handle = Tasks;
    type Timer = Clock;
    type Udp = Datagrams;
    type Tcp = Compat<TcpStream>;

    fn create_handle(&self) -> Tasks {
        Tasks
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        from: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Boxed<'static, io::Result<Compat<TcpStream>>> {
        Box::pin(async move {
            let socket = match server {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            if let Some(from) = from {
                socket.bind(from)?;
            }
            // The length of a message is a write of its own.
            socket.set_nodelay(true)?;
            let connected = within(timeout.unwrap_or(CONNECT), socket.connect(server)).await??;
            Ok(Compat::new(connected))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Boxed<'static, io::Result<Datagrams>> {
        Box::pin(async move { UdpSocket::bind(local).await.map(Datagrams::new) })
    }
}

impl DnsTcpStream for Compat<TcpStream> {
    type Time = Clock;
}

/// A socket for one query. Each direction has one who waits at most.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UdpSocket,
    readable: Wait,
    writable: Wait,
}

type Wait = Mutex<Option<Op<PollReady>>>;

impl Datagrams {
    fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            readable: Wait::default(),
            writable: Wait::default(),
        }
    }

    /// Repeats `call` until it does not ask to wait.
    fn poll_call<T>(
        &self,
        wait: &Wait,
        events: u32,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&UdpSocket) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(op) = &mut *wait {
                let outcome = ready!(Pin::new(op).poll(cx));
                *wait = None;
                outcome?;
            }
            match call(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *wait = Some(ops::poll_ready(self.socket.shared(), events));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl DnsUdpSocket for Datagrams {
    type Time = Clock;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll_call(&self.readable, READABLE, cx, |socket| {
            socket.try_recv_from(into)
        })
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_call(&self.writable, WRITABLE, cx, |socket| {
            socket.try_send_to(bytes, to)
        })
    }
}
