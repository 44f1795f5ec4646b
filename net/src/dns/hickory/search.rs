//! From one name to the queries that it takes, and back to its addresses.
//!
//! A name is searched as `resolv.conf(5)` says: in which order it is tried as it is and within each search domain is a
//! matter of its dots. Both families are asked for at once, and the first candidate that has an address of any is the
//! one. A candidate that does not exist, or whose servers fail, is followed by the next; one whose servers do not answer
//! ends the search, since they will not answer for the next one either.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_runtime::time::{Instant, Timer};
use heist_sync::Semaphore;
use heist_sync::stream::{Emitter, Stream, StreamExt, generate};
use hickory_resolver::proto::rr::Name as DnsName;

use super::super::error::{Error, Kind};
use super::super::name::Name;
use super::super::shared::Ticket;
use super::answer::{Answer, Family};
use super::{Inner, Key, LookupIpStrategy, Outcome};

/// All addresses of a name, best family first.
pub(super) async fn all(inner: &Arc<Inner>, name: &Name) -> Result<Vec<IpAddr>, Error> {
    let mut parts = Box::pin(parts(Arc::clone(inner), name.clone()));
    let (mut addresses, mut failed) = (Vec::new(), None);
    while let Some(part) = parts.next().await {
        match part {
            Ok(part) => addresses.extend(part),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if addresses.is_empty() => Err(error),
        _ => {
            let (first, _) = inner.strategy.families();
            addresses.sort_by_key(|address| !first.has(*address));
            Ok(addresses)
        }
    }
}

/// The addresses of a name, one family after the other, or else an error.
pub(super) fn parts(
    inner: Arc<Inner>,
    name: Name,
) -> impl Stream<Item = Result<Vec<IpAddr>, Error>> + Send {
    generate(async move |emitter| {
        let mut worst = None;
        for candidate in inner.candidates(&name) {
            match one(&inner, &candidate, emitter).await {
                Ok(()) => return,
                Err(error) => {
                    let goes_on = goes_on(&error);
                    if worst
                        .as_ref()
                        .is_none_or(|worst| rank(worst) < rank(&error))
                    {
                        worst = Some(error);
                    }
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        let nothing = || Error::new(name.as_str(), Kind::NoSuchName);
        emitter.emit(Err(worst.unwrap_or_else(nothing))).await;
    })
}

/// Whether the next candidate is tried after this.
fn goes_on(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::NoSuchName | Kind::NoAddress | Kind::ServerFailure
    )
}

/// Which of several errors says most: a failure means that a name may exist.
fn rank(error: &Error) -> u8 {
    match error.kind() {
        Kind::NoSuchName => 0,
        Kind::NoAddress => 1,
        _ => 2,
    }
}

/// What happens while both families of a candidate are asked for.
enum Event {
    First(Outcome),
    Second(Outcome),
    /// The first family is late.
    Delayed,
    Over,
}

/// Asks for both families and emits what is found, the second family not before the first or its delay.
async fn one(
    inner: &Arc<Inner>,
    name: &Name,
    emitter: &mut Emitter<Result<Vec<IpAddr>, Error>>,
) -> Result<(), Error> {
    let (first, second) = inner.strategy.families();
    let mut asking = Asking {
        first: Some(inner.ask(name, first)),
        second: second.map(|second| inner.ask(name, second)),
        delay: None,
    };
    let (mut found, mut held, mut failed) = (false, None, None);
    let mut fail = |error: Error| {
        if failed.as_ref().is_none_or(|old| rank(old) < rank(&error)) {
            failed = Some(error);
        }
    };
    loop {
        let mut ready = None;
        match poll_fn(|cx| asking.poll(cx)).await {
            Event::First(Ok(addresses)) => ready = Some(addresses),
            Event::Second(Ok(addresses)) if asking.first.is_some() => {
                held = Some(addresses);
                let end = Instant::now().saturating_add(inner.resolution_delay);
                asking.delay = Some(Timer::new(end));
                continue;
            }
            Event::Second(Ok(addresses)) => ready = Some(addresses),
            Event::First(Err(error)) | Event::Second(Err(error)) => fail(error),
            Event::Delayed => {}
            Event::Over if found => return Ok(()),
            Event::Over => break,
        }
        asking.delay = None;
        for addresses in [ready, held.take()].into_iter().flatten() {
            found = true;
            emitter.emit(Ok(addresses.to_vec())).await;
        }
    }
    Err(failed.unwrap_or_else(|| Error::new(name.as_str(), Kind::NoAddress)))
}

type Query = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Both queries of a candidate.
struct Asking {
    first: Option<Query>,
    second: Option<Query>,
    /// The patience with the first.
    delay: Option<Timer>,
}

impl Asking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let poll_query = |query: &mut Option<Query>, cx: &mut Context<'_>| {
            let Poll::Ready(outcome) = query.as_mut()?.as_mut().poll(cx) else {
                return None;
            };
            *query = None;
            Some(outcome)
        };
        if let Some(outcome) = poll_query(&mut self.first, cx) {
            return Poll::Ready(Event::First(outcome));
        }
        if let Some(outcome) = poll_query(&mut self.second, cx) {
            return Poll::Ready(Event::Second(outcome));
        }
        if self.first.is_none() && self.second.is_none() {
            return Poll::Ready(Event::Over);
        }
        match &mut self.delay {
            Some(delay) => Pin::new(delay).poll(cx).map(|()| Event::Delayed),
            None => Poll::Pending,
        }
    }
}

impl LookupIpStrategy {
    fn families(self) -> (Family, Option<Family>) {
        match self {
            Self::Ipv4Only => (Family::V4, None),
            Self::Ipv6Only => (Family::V6, None),
            Self::Ipv4AndIpv6 => (Family::V4, Some(Family::V6)),
            Self::Ipv6AndIpv4 => (Family::V6, Some(Family::V4)),
        }
    }
}

impl Inner {
    /// What needs no server: special names, those of the file of hosts, and what is remembered.
    pub(super) fn known(&self, name: &Name) -> Option<Result<Vec<IpAddr>, Error>> {
        if let Some(known) = name.known() {
            return Some(
                known
                    .addresses(name)
                    .and_then(|all| self.wanted(name, &all)),
            );
        }
        if let Some(all) = self.hosts.get(name) {
            return Some(self.wanted(name, all));
        }
        self.remembered(name).map(Ok)
    }

    /// The addresses of the families that are wanted, best first.
    fn wanted(&self, name: &Name, all: &[IpAddr]) -> Result<Vec<IpAddr>, Error> {
        let (first, second) = self.strategy.families();
        let of = |family: Family| all.iter().copied().filter(move |all| family.has(*all));
        let mut wanted: Vec<_> = of(first).collect();
        wanted.extend(second.into_iter().flat_map(of));
        if wanted.is_empty() {
            return Err(Error::new(name.as_str(), Kind::NoAddress));
        }
        Ok(wanted)
    }

    /// What is remembered of the first candidate, if that has an address and both families are known.
    fn remembered(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let candidate = self.candidates(name).next()?;
        let (first, second) = self.strategy.families();
        let mut key = (candidate, first);
        let mut addresses = Vec::new();
        for family in [Some(first), second].into_iter().flatten() {
            key.1 = family;
            if let Ok(found) = self.shared.known(&key)? {
                addresses.extend_from_slice(&found);
            }
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    /// The absolute names that a name may stand for, in the order they are tried.
    fn candidates(&self, name: &Name) -> impl Iterator<Item = Name> {
        let is_absolute = name.is_absolute();
        let dots = name.as_str().bytes().filter(|byte| *byte == b'.').count();
        let as_it_is_first = is_absolute || dots >= self.ndots;
        let domains: &[Name] = if is_absolute { &[] } else { &self.search };
        let as_it_is = name.without_dot();
        let first = as_it_is_first.then(|| as_it_is.clone());
        let last = (!as_it_is_first).then(|| as_it_is.clone());
        let searched = domains
            .iter()
            .filter_map(move |domain| as_it_is.within(domain));
        first.into_iter().chain(searched).chain(last)
    }

    /// Asks for one family of an absolute name.
    fn ask(self: &Arc<Self>, name: &Name, family: Family) -> Query {
        let (inner, key) = (Arc::clone(self), (name.clone(), family));
        Box::pin(async move {
            let work = |ticket| work(Arc::clone(&inner), key.clone(), ticket);
            let outcome = inner.shared.get(&key, work).await;
            outcome.unwrap_or_else(|| Err(Error::new(key.0.as_str(), Kind::Lost)))
        })
    }
}

/// Waits for a place, and asks the servers.
async fn work(inner: Arc<Inner>, key: Key, ticket: Ticket<Key, Outcome>) {
    let Ok(_place) = Semaphore::acquire(&inner.places).await else {
        return;
    };
    let (name, family) = &key;
    let answer = match DnsName::from_ascii(format!("{name}.")) {
        Ok(dns_name) => inner.servers.ask(dns_name, *family).await,
        Err(_) => Answer::Failed(Kind::InvalidName("the protocol has no room for it")),
    };
    let keep = inner.lifetimes.of(&answer);
    let outcome = match answer {
        Answer::Found(addresses, _) => Ok(addresses),
        Answer::None(kind, _) | Answer::Failed(kind) => Err(Error::new(name.as_str(), kind)),
    };
    ticket.land(outcome, keep);
}
