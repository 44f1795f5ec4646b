//! A waker that panics harms nobody but its owner: whoever calls it (the worker that completes a task, fires
//! timers or reaps completions) goes on, and those to be woken after it are woken.
//!
//! An abort would end the test program, a hang its watchdog.

mod common;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::bystanders::beside_others;
use heist::ops::{self, SharedFd};
use heist::spawn;
use heist::time::sleep;

/// Panics when it is called.
struct BadWaker {
    calls: AtomicUsize,
}

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        panic!("a waker on purpose");
    }
}

fn bad_waker() -> (Arc<BadWaker>, Waker) {
    let calls = AtomicUsize::new(0);
    let bad = Arc::new(BadWaker { calls });
    (bad.clone(), Waker::from(bad))
}

/// Polls once with `waker`, so that it is the one to be called.
fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) {
    assert!(future.poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn in_the_waker_of_a_joiner() {
    beside_others("in_the_waker_of_a_joiner", || async {
        let (bad, waker) = bad_waker();
        let polled = Arc::new(AtomicBool::new(false));
        let may_end = polled.clone();
        let mut task = pin!(spawn(async move {
            while !may_end.load(Ordering::SeqCst) {
                sleep(Duration::from_micros(100)).await;
            }
        }));
        poll_with(task.as_mut(), &waker);
        polled.store(true, Ordering::SeqCst);
        while bad.calls.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_micros(200)).await;
        }
        assert!(task.await.is_ok());
    });
}

#[test]
fn in_the_waker_of_a_timer() {
    beside_others("in_the_waker_of_a_timer", || async {
        let (bad, waker) = bad_waker();
        // Several due together: one's panic must not swallow the others.
        let mut good: Vec<_> = (0..5)
            .map(|_| spawn(sleep(Duration::from_millis(1))))
            .collect();
        // Again on a machine so busy that the time has passed before the poll.
        let mut first;
        loop {
            first = Box::pin(sleep(Duration::from_millis(1)));
            let mut cx = Context::from_waker(&waker);
            if first.as_mut().poll(&mut cx).is_pending() {
                break;
            }
        }
        good.extend((0..5).map(|_| spawn(sleep(Duration::from_millis(1)))));
        for task in good {
            task.await.unwrap();
        }
        while bad.calls.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_micros(200)).await;
        }
        first.await;
    });
}

#[test]
fn in_the_waker_of_an_operation() {
    beside_others("in_the_waker_of_an_operation", || async {
        let (bad, waker) = bad_waker();
        let pairs: Vec<_> = (0..8)
            .map(|_| {
                let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
                (SharedFd::new(here.into()), there)
            })
            .collect();
        let mut bad_one = pin!(ops::recv(&pairs[3].0, vec![0; 8], 0));
        poll_with(bad_one.as_mut(), &waker);
        let good: Vec<_> = pairs
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != 3)
            .map(|(_, (fd, _))| spawn(ops::recv(fd, vec![0; 8], 0)))
            .collect();
        sleep(Duration::from_micros(300)).await;
        for (_, there) in &pairs {
            std::io::Write::write_all(&mut &*there, b"x").unwrap();
        }
        for task in good {
            assert_eq!(task.await.unwrap().0.unwrap(), 1);
        }
        while bad.calls.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_micros(200)).await;
        }
        assert_eq!(bad_one.await.0.unwrap(), 1);
    });
}
