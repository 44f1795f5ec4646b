//! What the tests of sockets have in common.

#![allow(dead_code, reason = "not every test uses all of it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use heist_net::UdpSocket;
use heist_runtime::time::{Instant, Timer};
use heist_runtime::{Builder, RingProfile, Runtime};

const PROFILES: [RingProfile; 3] = [RingProfile::Defer, RingProfile::Coop, RingProfile::Pinned];

/// Runs `test` on one and two workers, with every profile.
pub(crate) fn on_all(test: impl Fn(&Runtime)) {
    for profile in PROFILES {
        for workers in [1, 2] {
            let built = Builder::new()
                .worker_threads(workers)
                .ring_profile(profile)
                .build();
            test(&built.unwrap());
        }
    }
}

/// Two sockets on loopback that are connected with each other.
pub(crate) async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

pub(crate) async fn pause(micros: u64) {
    Timer::new(Instant::now() + Duration::from_micros(micros)).await;
}

/// Polls `future` until it is ready or was pending `times` times; then it is dropped.
pub(crate) async fn polled<F: Future>(times: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            // Now and then it is polled before its own wake-up, and now and then dropped.
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Numbers that look random (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
