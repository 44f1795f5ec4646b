//! Asking several name servers.
//!
//! The server that answered last is asked first. When it fails, or has not answered after a head start, the next one is
//! asked besides, and whoever knows first is believed. Who has failed in a way that may pass (no answer, or one that
//! makes no sense) is asked again, `attempts` times in all; who has said that it will not help is not.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};
use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::Name as DnsName;

use super::super::error::Kind;
use super::answer::{Answer, Family, read};
use super::provider::Provider;

/// How long a server is ahead of the next at most.
const HEAD_START: Duration = Duration::from_secs(1);

/// The name servers.
pub(super) struct Servers {
    /// One resolver for each, since several in one would not be asked for a second opinion.
    servers: Vec<Resolver<Provider>>,
    /// Which one answered last. Nothing depends on it but the order, so no ordering is needed.
    best: AtomicUsize,
    timeout: Duration,
    attempts: usize,
}

impl Servers {
    /// `timeout` is for each attempt at a server.
    pub(super) fn new(
        servers: &[SocketAddr],
        timeout: Duration,
        attempts: usize,
    ) -> Result<Self, NetError> {
        let server = |address: &SocketAddr| {
            let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for way in &mut ways {
                way.port = address.port();
            }
            let server = NameServerConfig::new(address.ip(), true, ways.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            Resolver::builder_with_config(config, Provider)
                .with_options(options(timeout))
                .build()
        };
        Ok(Self {
            servers: servers.iter().map(server).collect::<Result<_, _>>()?,
            best: AtomicUsize::new(0),
            timeout,
            attempts,
        })
    }

    /// The most time that a lookup takes.
    fn patience(&self) -> Duration {
        let attempts = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        self.timeout.saturating_mul(attempts)
    }

    /// Looks one family of a name up.
    pub(super) fn ask(&self, name: DnsName, family: Family) -> impl Future<Output = Answer> + Send {
        let (count, best) = (self.servers.len(), self.best.load(Relaxed));
        let order = (0..count).map(|next| (best + next) % count);
        let mut asking = Asking {
            servers: self,
            name,
            family,
            waiting: order.map(|server| (server, self.attempts)).collect(),
            asked: Vec::new(),
            next: None,
            end: None,
            failure: None,
        };
        poll_fn(move |cx| asking.poll(cx))
    }
}

/// What is hickory's part: a query to one server, over UDP, or TCP when the answer is cut off.
fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options
}

type Query<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A lookup in progress.
struct Asking<'s> {
    servers: &'s Servers,
    name: DnsName,
    family: Family,
    /// Who is to be asked next, and how often.
    waiting: VecDeque<(usize, usize)>,
    asked: Vec<(usize, usize, Query<'s>)>,
    /// Until the next one is asked.
    next: Option<Timer>,
    /// Until it is over.
    end: Option<Timer>,
    /// The failure that says most.
    failure: Option<Kind>,
}

impl<'s> Asking<'s> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let patience = self.servers.patience();
        let end = self
            .end
            .get_or_insert_with(|| Timer::new(Instant::now().saturating_add(patience)));
        if Pin::new(end).poll(cx).is_ready() {
            self.fail(Kind::TimedOut(patience));
            return Poll::Ready(self.failed());
        }
        loop {
            if let Some(answer) = self.poll_asked(cx) {
                return Poll::Ready(answer);
            }
            if !self.is_next_due(cx) {
                return Poll::Pending;
            }
            let Some((server, left)) = self.waiting.pop_front() else {
                return Poll::Ready(self.failed());
            };
            let query = self.query(server);
            self.asked.push((server, left.saturating_sub(1), query));
            let head_start = HEAD_START.min(self.servers.timeout / 2);
            self.next = (!self.waiting.is_empty()).then(|| Timer::new(Instant::now() + head_start));
        }
    }

    /// Looks for an answer that others need not be waited for. A server that fails makes the next one due.
    fn poll_asked(&mut self, cx: &mut Context<'_>) -> Option<Answer> {
        let mut at = 0;
        while let Some((server, left, query)) = self.asked.get_mut(at) {
            let Poll::Ready(answer) = query.as_mut().poll(cx) else {
                at += 1;
                continue;
            };
            let (server, left) = (*server, *left);
            drop(self.asked.remove(at));
            let Answer::Failed(kind) = answer else {
                self.servers.best.store(server, Relaxed);
                return Some(answer);
            };
            self.next = None;
            if may_pass(&kind) && left > 0 {
                self.waiting.push_back((server, left));
            }
            self.fail(kind);
        }
        None
    }

    /// Whether another server is asked now, or with none left, the lookup has failed.
    fn is_next_due(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waiting.is_empty() {
            return self.asked.is_empty();
        }
        match &mut self.next {
            Some(timer) => Pin::new(timer).poll(cx).is_ready(),
            None => true,
        }
    }

    /// Asks one server.
    fn query(&self, server: usize) -> Query<'s> {
        let servers = self.servers;
        let (name, family) = (self.name.clone(), self.family);
        Box::pin(async move {
            let result = servers.servers[server]
                .lookup(name.clone(), family.record_type())
                .await;
            read(&name, family, servers.timeout, result)
        })
    }

    /// Keeps what says most: that a server spoke, more than that none did.
    fn fail(&mut self, kind: Kind) {
        let rank = |kind: &Kind| match kind {
            Kind::ServerFailure => 4,
            Kind::Refused => 3,
            Kind::Malformed(_) => 2,
            Kind::TimedOut(_) => 1,
            _ => 0,
        };
        if self
            .failure
            .as_ref()
            .is_none_or(|old| rank(old) < rank(&kind))
        {
            self.failure = Some(kind);
        }
    }

    fn failed(&mut self) -> Answer {
        let kind = match self.failure.take() {
            // Of one attempt; what the caller has waited is the time for all.
            Some(Kind::TimedOut(_)) => Kind::TimedOut(self.servers.patience()),
            Some(kind) => kind,
            None => Kind::Io(io::Error::other("there is no name server to ask")),
        };
        Answer::Failed(kind)
    }
}

/// Whether asking the same server again may help.
fn may_pass(kind: &Kind) -> bool {
    matches!(kind, Kind::TimedOut(_) | Kind::Malformed(_) | Kind::Io(_))
}
