//! Connecting to a name with several addresses: "happy eyeballs", RFC 8305.
//!
//! The addresses take turns between the two families, and each attempt has a head start of 250 ms before the
//! next; one that fails lets the next begin at once. The first that is connected wins, and the others are
//! closed. A resolver may yield addresses while others are being tried already; they take their turns among those
//! that wait. How long it waits for the better family (the RFC's "resolution delay") is the resolver's to know.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::ops::{self, Connect, Op, SharedFd};
use heist_runtime::time::{Instant, Timer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::addr::no_address;
use crate::dns::Parts;

/// The "connection attempt delay" that the RFC recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// The least "connection attempt delay" that the RFC allows.
const LEAST_HEAD_START: Duration = Duration::from_millis(10);

/// The socket of the first address that accepts.
pub(super) async fn first(addresses: Vec<SocketAddr>) -> io::Result<SharedFd> {
    race(addresses, None, None).await.map(|(fd, _)| fd)
}

/// The socket of the first address that accepts, and which one that is; `more` addresses may come meanwhile. When the
/// time to connect has an end, the head starts are short enough for every address to get a share of it.
pub(super) fn race(
    addresses: Vec<SocketAddr>,
    more: Option<Parts>,
    patience: Option<Duration>,
) -> impl Future<Output = io::Result<(SharedFd, SocketAddr)>> {
    let v4_first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let mut race = Race {
        count: addresses.len(),
        patience,
        waiting: in_turns(addresses, v4_first),
        more,
        attempts: Vec::new(),
        begun: None,
        next: None,
        last: None,
    };
    poll_fn(move |cx| race.poll(cx))
}

/// How long an attempt is ahead of the next.
fn head_start(addresses: usize, patience: Option<Duration>) -> Duration {
    let share = patience.map(|all| all / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX));
    share.map_or(HEAD_START, |share| {
        share.clamp(LEAST_HEAD_START, HEAD_START)
    })
}

/// The addresses in the order they are tried: as the resolver has sorted them, but the families take turns,
/// so that one that does not work costs one head start.
fn in_turns(
    addresses: impl IntoIterator<Item = SocketAddr>,
    v4_first: bool,
) -> VecDeque<SocketAddr> {
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == v4_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::with_capacity(first.len() + second.len());
    while first.len() + second.len() > 0 {
        order.extend(first.next());
        order.extend(second.next());
    }
    order
}

struct Attempt {
    address: SocketAddr,
    fd: SharedFd,
    connect: Op<Connect>,
}

impl Attempt {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        let fd = SharedFd::new(OwnedFd::from(socket));
        let connect = ops::connect(&fd, SockAddr::from(address));
        Ok(Self {
            address,
            fd,
            connect,
        })
    }
}

struct Race {
    waiting: VecDeque<SocketAddr>,
    /// Addresses that are still to come.
    more: Option<Parts>,
    /// How many addresses there were in all.
    count: usize,
    patience: Option<Duration>,
    attempts: Vec<Attempt>,
    /// The last attempt: when it began, and whether it was one of IPv4.
    begun: Option<(Instant, bool)>,
    /// Until the next attempt begins.
    next: Option<Timer>,
    last: Option<io::Error>,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SharedFd, SocketAddr)>> {
        self.take_more(cx);
        loop {
            let mut has_failed = false;
            let mut at = 0;
            while let Some(attempt) = self.attempts.get_mut(at) {
                match Pin::new(&mut attempt.connect).poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(())) => {
                        return Poll::Ready(Ok((attempt.fd.clone(), attempt.address)));
                    }
                    Poll::Ready(Err(error)) => {
                        self.last = Some(error);
                        self.attempts.remove(at);
                        has_failed = true;
                    }
                }
            }
            if !self.is_next_due(has_failed, cx) {
                return Poll::Pending;
            }
            let Some(address) = self.waiting.pop_front() else {
                if self.more.is_some() {
                    return Poll::Pending;
                }
                let error = self.last.take();
                return Poll::Ready(Err(error.unwrap_or_else(|| no_address("connect"))));
            };
            match Attempt::new(address) {
                Ok(attempt) => self.attempts.push(attempt),
                Err(error) => self.last = Some(error),
            }
            self.begun = Some((Instant::now(), address.is_ipv4()));
            self.set_next();
        }
    }

    /// Takes the addresses that have come meanwhile. The next attempt is one of the other family, if there is one.
    fn take_more(&mut self, cx: &mut Context<'_>) {
        while let Some(more) = &mut self.more {
            let Poll::Ready(part) = more.poll_more(cx) else {
                return;
            };
            let Some(addresses) = part else {
                self.more = None;
                return;
            };
            self.count += addresses.len();
            let v4_first = self.begun.is_some_and(|(_, was_v4)| !was_v4);
            let all = std::mem::take(&mut self.waiting);
            self.waiting = in_turns(all.into_iter().chain(addresses), v4_first);
            self.set_next();
        }
    }

    /// Sets the timer for the next attempt, a head start after the last one began.
    fn set_next(&mut self) {
        let begun = self.begun.filter(|_| !self.waiting.is_empty());
        let head_start = head_start(self.count, self.patience);
        self.next = begun.map(|(begun, _)| Timer::new(begun + head_start));
    }

    /// Whether another attempt begins now, or with none left, the race is lost.
    fn is_next_due(&mut self, has_failed: bool, cx: &mut Context<'_>) -> bool {
        if self.attempts.is_empty() {
            return true;
        }
        if self.waiting.is_empty() {
            return false;
        }
        let is_over = |timer: &mut Timer| Pin::new(timer).poll(cx).is_ready();
        has_failed || self.next.as_mut().is_some_and(is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace()
                .map(|host| SocketAddr::new(host.parse().expect("an address"), 80))
                .collect()
        };
        let cases = [
            ("", ""),
            ("::1", "::1"),
            ("::1 ::2 ::3 1.1.1.1", "::1 1.1.1.1 ::2 ::3"),
            ("1.1.1.1 2.2.2.2 ::1 ::2", "1.1.1.1 ::1 2.2.2.2 ::2"),
            ("1.1.1.1 2.2.2.2", "1.1.1.1 2.2.2.2"),
        ];
        for (given, expected) in cases {
            let given_v4_first = given.starts_with('1');
            let order = in_turns(parse(given), given_v4_first);
            assert_eq!(order, parse(expected), "{given}");
        }
    }

    #[test]
    fn every_address_gets_a_share_of_the_time() {
        let ms = Duration::from_millis;
        let cases = [
            (2, None, HEAD_START),
            (2, Some(ms(10_000)), HEAD_START),
            (2, Some(ms(300)), ms(150)),
            (4, Some(ms(400)), ms(100)),
            (100, Some(ms(200)), LEAST_HEAD_START),
            (0, Some(ms(100)), ms(100)),
            (1, Some(Duration::MAX), HEAD_START),
        ];
        for (addresses, patience, expected) in cases {
            assert_eq!(head_start(addresses, patience), expected);
        }
    }
}
