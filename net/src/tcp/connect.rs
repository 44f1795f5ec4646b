//! Connecting to a name with several addresses: "happy eyeballs", RFC 8305.
//!
//! The addresses take turns between the two families, and each attempt has a head start of 250 ms before the
//! next; one that fails lets the next begin at once. The first that is connected wins, and the others are
//! closed. The resolver yields both families at once, so there is no answer to wait for in between (the
//! RFC's "resolution delay").

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

/// The "connection attempt delay" that the RFC recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// The socket of the first address that accepts.
pub(super) async fn first(addresses: Vec<SocketAddr>) -> io::Result<SharedFd> {
    let mut race = Race {
        waiting: in_turns(addresses),
        attempts: Vec::new(),
        head_start: None,
        last: None,
    };
    poll_fn(|cx| race.poll(cx)).await
}

/// The addresses in the order they are tried: as the resolver has sorted them, but the families take turns,
/// so that one that does not work costs one head start.
fn in_turns(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let v4_first = addresses.first().is_some_and(SocketAddr::is_ipv4);
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
    fd: SharedFd,
    connect: Op<Connect>,
}

impl Attempt {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        let fd = SharedFd::new(OwnedFd::from(socket));
        let connect = ops::connect(&fd, SockAddr::from(address));
        Ok(Self { fd, connect })
    }
}

struct Race {
    waiting: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    /// Until the next attempt begins.
    head_start: Option<Timer>,
    last: Option<io::Error>,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<SharedFd>> {
        loop {
            let mut has_failed = false;
            let mut at = 0;
            while let Some(attempt) = self.attempts.get_mut(at) {
                match Pin::new(&mut attempt.connect).poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(attempt.fd.clone())),
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
                let error = self.last.take();
                return Poll::Ready(Err(error.unwrap_or_else(|| no_address("connect"))));
            };
            match Attempt::new(address) {
                Ok(attempt) => self.attempts.push(attempt),
                Err(error) => self.last = Some(error),
            }
            self.head_start =
                (!self.waiting.is_empty()).then(|| Timer::new(Instant::now() + HEAD_START));
        }
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
        has_failed || self.head_start.as_mut().is_some_and(is_over)
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
            assert_eq!(in_turns(parse(given)), parse(expected), "{given}");
        }
    }
}
