//! Faults that were found once around operations, each as the test that would have found it.

mod common;

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use common::{Watchdog, after, eventually, pair, poll_once, poll_without_waker, runtime};
use heist_runtime::ops::{self, Acceptor, SharedFd};
use heist_runtime::{Builder, RingProfile, spawn, yield_now};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which is no worker.
fn outside<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// An accept polled outside the workers took every connection and closed all but the first.
#[test]
fn an_acceptor_used_outside_the_workers_closes_no_connection() {
    let _watchdog = Watchdog::new("an_acceptor_used_outside_the_workers_closes_no_connection");
    let runtime = runtime(2, RingProfile::Defer);
    let handle = runtime.handle();
    let _entered = handle.enter();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut acceptor = Acceptor::new(SharedFd::new(listener.into()));
    let clients: Vec<_> = (0..10)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let first = outside(acceptor.accept()).unwrap();
    thread::sleep(Duration::from_millis(50));
    for mut client in &clients {
        client.set_nonblocking(true).unwrap();
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "closed");
    }
    let others: Vec<_> = (1..10)
        .map(|_| outside(acceptor.accept()).unwrap())
        .collect();
    drop((first, others));
}

/// A listener stayed open when its acceptor was dropped while an accept waited on a worker for another
/// thread.
#[test]
fn a_dropped_acceptor_closes_its_listener() {
    let _watchdog = Watchdog::new("a_dropped_acceptor_closes_its_listener");
    let runtime = runtime(2, RingProfile::Defer);
    let handle = runtime.handle();
    let _entered = handle.enter();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut acceptor = Acceptor::new(SharedFd::new(listener.into()));
    let mut accept = Box::pin(acceptor.accept());
    assert!(poll_without_waker(&mut accept).is_pending());
    thread::sleep(Duration::from_millis(20));
    drop(accept);
    drop(acceptor);
    eventually("the listener is closed", || {
        TcpStream::connect(address).is_err()
    });
}

/// A zero-copy send that was moved to another ring reported that it had been cancelled.
#[test]
fn a_zero_copy_send_survives_the_end_of_block_on() {
    let _watchdog = Watchdog::new("a_zero_copy_send_survives_the_end_of_block_on");
    let runtime = runtime(2, RingProfile::Defer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 1 << 16]).is_ok() {}
    let fd = SharedFd::new(OwnedFd::from(near));
    let mut send = ops::send_zero_copy(&fd, vec![1; 20_000], 0);
    runtime.block_on(async {
        assert!(poll_once(&mut send).await.is_none());
        for _ in 0..100 {
            yield_now().await;
        }
    });
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while far.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    let (sent, _) = runtime.block_on(async {
        after(Duration::from_millis(20)).await;
        send.await
    });
    assert!((1..=20_000).contains(&sent.unwrap()));
    drop(fd);
    reader.join().unwrap();
}

/// A worker with more entries than its submission queue takes went to sleep on what it had not submitted.
#[test]
fn operations_beyond_the_submission_queue_reach_the_kernel() {
    let _watchdog = Watchdog::new("operations_beyond_the_submission_queue_reach_the_kernel");
    for served in 0..6 {
        let built = Builder::new().worker_threads(1).ring_entries(2).build();
        let runtime = built.unwrap();
        let pairs: Vec<_> = (0..6).map(|_| pair()).collect();
        let mut there = pairs[served].1.try_clone().unwrap();
        runtime.block_on(async {
            let mut receives: Vec<_> = pairs
                .iter()
                .map(|(fd, _)| ops::recv(fd, vec![0; 4], 0))
                .collect();
            let writer = thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                there.write_all(b"here").unwrap();
            });
            let (received, bytes) = poll_fn(|cx| {
                for receive in &mut receives {
                    if let Poll::Ready(received) = Pin::new(receive).poll(cx) {
                        return Poll::Ready(received);
                    }
                }
                Poll::Pending
            })
            .await;
            assert_eq!((received.unwrap(), &bytes[..]), (4, &b"here"[..]));
            writer.join().unwrap();
        });
    }
}

/// An operation whose preparation panicked kept its descriptor for ever.
#[test]
fn an_operation_that_panics_in_its_preparation_lets_go_of_its_descriptor() {
    let _watchdog =
        Watchdog::new("an_operation_that_panics_in_its_preparation_lets_go_of_its_descriptor");
    runtime(1, RingProfile::Defer).block_on(async {
        for _ in 0..10 {
            let (fd, _there) = pair();
            let shared = fd.clone();
            let sends = spawn(async move {
                // There is no byte 5 of 4.
                drop(ops::send(&shared, vec![1; 4], 5, 0).await);
            });
            assert!(sends.await.is_err());
            assert!(fd.try_unwrap().is_ok(), "somebody still holds it");
        }
    });
}

/// A cancel that came while the kernel moved the operation from a poll to one of its threads found nothing, and the
/// operation went on for as long as the listener's backlog was full. (Control, tried: `cancel_again` that does nothing; one
/// connect in four hangs then.)
#[test]
fn a_cancel_finds_an_operation_on_its_way_to_a_kernel_thread() {
    let _watchdog = Watchdog::new("a_cancel_finds_an_operation_on_its_way_to_a_kernel_thread");
    let path = std::env::temp_dir().join(format!("heist-backlog-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    let unix = |kind| socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
    let listener = unix(socket2::Type::STREAM);
    let address = socket2::SockAddr::unix(&path).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let first = unix(socket2::Type::STREAM);
    first.connect(&address).unwrap();
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        runtime(2, profile).block_on(async {
            for round in 0..40_u64 {
                let fd = SharedFd::new(OwnedFd::from(unix(socket2::Type::STREAM)));
                let mut connect = ops::connect(&fd, address.clone());
                assert!(poll_once(&mut connect).await.is_none());
                for _ in 0..round % 7 {
                    yield_now().await;
                }
                connect.request_cancel();
                let error = connect.await.unwrap_err().raw_os_error();
                // Interrupted, when the kernel's thread had begun.
                assert!(
                    matches!(error, Some(libc::ECANCELED | libc::EINTR)),
                    "{error:?}"
                );
            }
        });
    }
    drop((first, listener));
    std::fs::remove_file(&path).unwrap();
}
