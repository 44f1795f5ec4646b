//! One connection: its sender, its driver, and how long nobody has used it.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use heist_runtime::Handle;
use heist_runtime::time::{Instant, Timer};
use hyper::client::conn::http2::SendRequest;

use super::metered::Metered;
use super::origins::Origins;
use super::settings::Settings;
use super::upload::Outgoing;
use crate::hyper::HeistExecutor;
use crate::io::Compat;

/// A connection that any number of exchanges use. It is closed when the last of them has ended and the client no
/// longer knows it.
#[derive(Debug)]
pub(in crate::http) struct Connection {
    sender: SendRequest<Outgoing>,
    remote: SocketAddr,
    pub(super) usage: Arc<Usage>,
}

/// Who uses a connection. Known to its driver, which must not hold the connection itself.
#[derive(Debug)]
pub(super) struct Usage {
    state: Mutex<InUse>,
    /// The client has closed it on purpose.
    dismissed: AtomicBool,
}

#[derive(Debug)]
struct InUse {
    exchanges: usize,
    /// When the last one ended.
    idle_since: Instant,
}

/// The use of a connection by one exchange.
#[derive(Debug)]
pub(in crate::http) struct Lease {
    connection: Arc<Connection>,
    origins: Weak<Origins>,
}

impl Usage {
    fn lock(&self) -> MutexGuard<'_, InUse> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when nobody uses it; `None` if somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.exchanges == 0).then_some(state.idle_since)
    }

    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, SeqCst);
    }
}

impl Connection {
    /// Whether it takes requests.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

impl Lease {
    pub(super) fn new(connection: Arc<Connection>, origins: &Arc<Origins>) -> Self {
        connection.usage.lock().exchanges += 1;
        Self {
            connection,
            origins: Arc::downgrade(origins),
        }
    }

    pub(super) fn sender(&self) -> SendRequest<Outgoing> {
        self.connection.sender.clone()
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.connection.remote
    }

    /// No other exchange is to use the connection.
    pub(super) fn retire(&self) {
        if let Some(origins) = self.origins.upgrade() {
            origins.forget(&self.connection.usage);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.connection.usage.lock();
        state.exchanges -= 1;
        let last = state.exchanges == 0;
        if last {
            state.idle_since = Instant::now();
        }
        drop(state);
        if last && let Some(origins) = self.origins.upgrade() {
            origins.became_idle();
        }
    }
}

/// Begins to speak HTTP/2 over a transport. The connection's tasks run from then on.
pub(in crate::http) async fn establish(
    settings: &Settings,
    head: usize,
    origins: &Arc<Origins>,
    io: Metered,
    remote: SocketAddr,
) -> Result<Arc<Connection>, hyper::Error> {
    // A socket is not to be had without a runtime.
    let handle = Handle::current();
    let builder = settings.builder(HeistExecutor::on(handle.clone()), head);
    let handshake = builder.handshake::<_, Outgoing>(Compat::new(io));
    let (sender, connection) = handshake.await?;
    let usage = Arc::new(Usage {
        state: Mutex::new(InUse {
            exchanges: 0,
            idle_since: Instant::now(),
        }),
        dismissed: AtomicBool::new(false),
    });
    let watch = Watch {
        usage: usage.clone(),
        origins: Arc::downgrade(origins),
    };
    let timeout = origins.idle_timeout();
    drop(handle.spawn(async move { watch.drive(connection, timeout).await }));
    Ok(Arc::new(Connection {
        sender,
        remote,
        usage,
    }))
}

/// What a driver does besides: it closes the connection when it was idle for too long, and says when it is gone.
struct Watch {
    usage: Arc<Usage>,
    origins: Weak<Origins>,
}

impl Watch {
    /// Ends when the connection does, which is also when the client has forgotten it and nobody uses it.
    async fn drive(self, connection: impl Future, timeout: Option<Duration>) {
        let mut connection = pin!(connection);
        let mut expiry = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut timer: Option<Timer> = None;
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            while let Some(at) = expiry {
                let timer = timer.get_or_insert_with(|| Timer::new(at));
                if Pin::new(&mut *timer).poll(cx).is_pending() {
                    break;
                }
                expiry = self.look(timeout.unwrap_or(Duration::MAX));
                if let Some(at) = expiry {
                    *timer = Timer::new(at);
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// Closes the connection if its time is up; otherwise says when to look again.
    fn look(&self, timeout: Duration) -> Option<Instant> {
        let now = Instant::now();
        let origins = self.origins.upgrade()?;
        if origins.expire(&self.usage, now, timeout) {
            return None;
        }
        let since = self.usage.idle_since().unwrap_or(now);
        since.checked_add(timeout)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(origins) = self.origins.upgrade() else {
            return;
        };
        let known = origins.forget(&self.usage);
        let idle = self.usage.idle_since().is_some();
        if known && idle && !self.usage.dismissed.load(SeqCst) {
            origins.closed_by_server();
        }
    }
}
