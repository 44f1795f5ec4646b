//! What does not wait, and conversions to the standard library.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use common::{Random, on_all, pause, polled};
use heist_net::io::{AsyncWriteExt, Interest};
use heist_net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use heist_runtime::{spawn, spawn_blocking};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).await;
    (one.unwrap(), listener.accept().await.unwrap().0)
}

fn would_block<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> bool {
    outcome.unwrap_err().kind() == ErrorKind::WouldBlock
}

/// What `call` gives when it no longer says `WouldBlock`, within some seconds.
async fn soon<T: std::fmt::Debug>(mut call: impl FnMut() -> std::io::Result<T>) -> T {
    let started = Instant::now();
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(started.elapsed() < Duration::from_secs(10), "it never came");
                pause(50).await;
            }
            outcome => return outcome.unwrap(),
        }
    }
}

/// A dropped receive leaves one armed, which takes the bytes into the runtime. Negative control: a `try_read` that asks the
/// socket finds nothing.
#[test]
fn try_read_finds_what_the_runtime_has_received() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = pair().await;
            assert!(would_block(one.try_read(&mut [0; 4])));
            assert!(polled(0, one.recv()).await.is_none());
            other.write_all(b"hello world").await.unwrap();
            other.flush().await.unwrap();
            let mut buffer = [0; 5];
            assert_eq!(soon(|| one.try_read(&mut buffer)).await, 5);
            assert_eq!(&buffer, b"hello");
            // What did not fit is next, in front of what comes later.
            other.write_all(b", again").await.unwrap();
            other.flush().await.unwrap();
            let mut rest = Vec::new();
            while rest.len() < 13 {
                soon(|| one.try_read_buf(&mut rest)).await;
            }
            assert_eq!(rest, b" world, again");
            assert!(would_block(one.try_read(&mut buffer)));
            drop(other);
            assert_eq!(soon(|| one.try_read(&mut buffer)).await, 0);
            assert_eq!(one.try_read(&mut buffer).unwrap(), 0);
        });
    });
}

/// No ring takes part before the first wait: the bytes are in the socket.
#[test]
fn try_read_needs_no_wait_before() {
    heist_runtime::block_on(async {
        let (mut one, mut other) = pair().await;
        other.write_all(b"abcdef").await.unwrap();
        other.flush().await.unwrap();
        let (mut first, mut second) = ([0; 2], [0; 8]);
        let parts = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(soon(|| one.try_read_vectored(parts)).await, 6);
        assert_eq!((&first, &second[..4]), (b"ab", &b"cdef"[..]));
        assert_eq!(one.try_read(&mut []).unwrap(), 0);
        // Nothing was armed, so the socket may go.
        one.into_std().unwrap();
    });
}

/// Waits and tries that are mixed with whole reads, dropped at will. Negative control: a `try_read` that receives past an
/// armed receive puts bytes out of order.
#[test]
fn bulk_goes_through_tries_whole_and_in_order() {
    const TOTAL: usize = 4 << 20;
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, other) = pair().await;
            let (_keep, mut sending) = other.into_split();
            let sender = spawn(async move {
                let data: Vec<u8> = (0..TOTAL).map(|i| (i % 251) as u8).collect();
                let (mut at, mut random) = (0, Random(5));
                while at < TOTAL {
                    let end = TOTAL.min(at + 1 + random.below(100_000) as usize);
                    if random.below(4) == 0 {
                        // In the background if it is small, and the tries behind it wait.
                        at += sending.write(&data[at..end]).await.unwrap();
                        continue;
                    }
                    sending.writable().await.unwrap();
                    let middle = (at + end) / 2;
                    let parts = [
                        IoSlice::new(&data[at..middle]),
                        IoSlice::new(&data[middle..end]),
                    ];
                    match sending.try_write_vectored(&parts) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        written => at += written.unwrap(),
                    }
                }
            });
            let (mut at, mut random, mut buffer) = (0, Random(9), vec![0; 50_000]);
            loop {
                let read = match random.below(4) {
                    0 => polled(random.below(3), one.read(&mut buffer)).await,
                    1 => {
                        one.readable().await.unwrap();
                        Some(one.try_read(&mut buffer))
                    }
                    _ => Some(one.try_read(&mut buffer)),
                };
                match read {
                    None => pause(20).await,
                    Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => pause(20).await,
                    Some(Ok(0)) => break,
                    Some(count) => {
                        for &byte in &buffer[..count.unwrap()] {
                            assert_eq!(byte, (at % 251) as u8, "at {at}");
                            at += 1;
                        }
                    }
                }
            }
            assert_eq!(at, TOTAL);
            sender.await.unwrap();
        });
    });
}

#[test]
fn try_write_takes_what_there_is_room_for() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = pair().await;
            one.write_all(b"first").await.unwrap();
            let chunk = [7; 100_000];
            let mut written = 0;
            let full = loop {
                match one.try_write(&chunk) {
                    Ok(count) => written += count,
                    // At first it may be for the write in the background.
                    Err(error) if written == 0 => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        one.writable().await.unwrap();
                    }
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock);
            assert!(polled(3, one.writable()).await.is_none());
            let mut first = [0; 5];
            other.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"first");
            let reader = spawn(async move {
                let mut seen = 0;
                while let Some(bytes) = other.recv().await.unwrap() {
                    assert!(bytes.iter().all(|&byte| byte == 7));
                    seen += bytes.len();
                }
                seen
            });
            one.writable().await.unwrap();
            written += soon(|| one.try_write(&chunk)).await;
            drop(one);
            assert_eq!(reader.await.unwrap(), written);
        });
    });
}

/// Negative control: a `peek` that shows only the first buffer never sees six bytes.
#[test]
fn peek_sees_more_when_more_has_come_and_takes_nothing() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, mut other) = pair().await;
            let (mut one, _writing) = one.into_split();
            other.write_all(b"abc").await.unwrap();
            other.flush().await.unwrap();
            let mut buffer = [0; 8];
            assert_eq!(one.peek(&mut buffer).await.unwrap(), 3);
            other.write_all(b"def").await.unwrap();
            other.flush().await.unwrap();
            let started = Instant::now();
            while one.peek(&mut buffer).await.unwrap() < 6 {
                assert!(started.elapsed() < Duration::from_secs(10));
                pause(50).await;
            }
            assert_eq!(&buffer[..6], b"abcdef");
            assert_eq!(one.peek(&mut buffer[..2]).await.unwrap(), 2);
            assert_eq!(soon(|| one.try_read(&mut buffer)).await, 6);
            assert!(polled(2, one.peek(&mut buffer)).await.is_none());
            drop(other);
            assert_eq!(one.peek(&mut buffer).await.unwrap(), 0);
        });
    });
}

#[test]
fn a_fresh_connection_goes_to_the_standard_library() {
    heist_runtime::block_on(async {
        let (mut one, mut other) = pair().await;
        one.write_all(b"before ").await.unwrap();
        one.flush().await.unwrap();
        let mut one = one.into_std().unwrap();
        one.write_all(b"after").unwrap();
        let mut both = [0; 12];
        other.read_exact(&mut both).await.unwrap();
        assert_eq!(&both, b"before after");
        // And back, to be refused: from now on the runtime may have bytes of it in hand.
        let mut one = TcpStream::from_std(one).unwrap();
        assert!(polled(0, one.recv()).await.is_none());
        let error = one.into_std().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("into_std_with_unread"),
            "{error}"
        );

        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (one.into_std().unwrap(), other.into_std().unwrap());
        one.write_all(b"x").unwrap();
        other.read_exact(&mut [0]).unwrap();
    });
}

/// While bytes pour in. Negative control: without the wait for the end of the receive, or without what it had received,
/// bytes are missing.
#[test]
fn a_connection_in_use_goes_to_the_standard_library_with_what_was_received() {
    const TOTAL: usize = 300_000;
    on_all(|runtime| {
        runtime.block_on(async {
            for round in 0..20_u64 {
                let (mut one, mut other) = pair().await;
                let sender = spawn(async move {
                    let data: Vec<u8> = (0..TOTAL).map(|i| (i % 251) as u8).collect();
                    for piece in data.chunks(7_000) {
                        other.write_all(piece).await.unwrap();
                    }
                    other.shutdown(std::net::Shutdown::Write).await.unwrap();
                    // Closed with bytes unread it would take back what it has sent.
                    let mut small = [0; 5];
                    other.read_exact(&mut small).await.unwrap();
                    assert_eq!(&small, b"small");
                });
                let mut all = Vec::new();
                while all.len() < (round * 10_000) as usize {
                    all.extend_from_slice(&one.recv().await.unwrap().unwrap());
                }
                one.write_all(b"small").await.unwrap();
                let (mut one, unread) = one.into_std_with_unread().await.unwrap();
                all.extend_from_slice(&unread);
                one.set_nonblocking(false).unwrap();
                let rest = spawn_blocking(move || {
                    let mut rest = Vec::new();
                    one.read_to_end(&mut rest).map(|_| rest)
                });
                all.extend(rest.await.unwrap().unwrap());
                assert!(
                    all.iter()
                        .enumerate()
                        .all(|(i, &byte)| byte == (i % 251) as u8)
                );
                assert_eq!(all.len(), TOTAL);
                sender.await.unwrap();
            }
        });
    });
}

#[test]
fn listeners_go_to_the_standard_library_before_their_first_accept() {
    heist_runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.set_ttl(9).unwrap();
        assert_eq!(listener.ttl().unwrap(), 9);
        let address = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(polled(0, listener.accept()).await.is_none());
        let error = listener.into_std().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let unix = UnixListener::bind("\0heist-tries-of-listeners").unwrap();
        unix.into_std().unwrap();
    });
}

/// Negative control: a `readable` that arms a receive has the descriptor dropped.
#[test]
fn readable_leaves_descriptors_to_who_asks_for_them() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let carried = std::fs::File::open("/dev/null").unwrap();
            let sent = other.send_with_fds(b"x", &[carried.as_fd()]).await;
            assert_eq!(sent.unwrap(), 1);
            one.readable().await.unwrap();
            pause(1_000).await;
            let found = one.recv_with_fds(&mut [0]).await.unwrap();
            assert_eq!((found.len, found.fds.len()), (1, 1));
            // After another read it waits by receiving.
            assert!(would_block(one.try_read(&mut [0])));
            other.write_all(b"y").await.unwrap();
            one.readable().await.unwrap();
            let mut byte = [0];
            assert_eq!(one.try_read(&mut byte).unwrap(), 1);
            assert_eq!(&byte, b"y");
        });
    });
}

#[test]
fn datagrams_are_received_in_every_form_without_waiting() {
    heist_runtime::block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (one_at, other_at) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut into = b"> ".to_vec();
        assert!(would_block(other.try_recv_buf(&mut into)));
        assert!(would_block(other.try_peek(&mut [0; 8])));
        one.send_to(b"one", other_at).await.unwrap();
        other.readable().await.unwrap();
        let mut peeked = [0; 8];
        assert_eq!(other.try_peek(&mut peeked).unwrap(), 3);
        assert_eq!(other.try_peek_from(&mut peeked).unwrap(), (3, one_at));
        assert_eq!(other.try_recv_buf_from(&mut into).unwrap(), (3, one_at));
        assert_eq!(into, b"> one");
        one.send_to(&[5; 60_000], other_at).await.unwrap();
        assert_eq!(other.recv_buf(&mut into).await.unwrap(), 60_000);
        assert_eq!(into.len(), 60_005);
        one.send_to(b"short", other_at).await.unwrap();
        let mut room = [0; 2];
        let (count, from) = other.recv_buf_from(&mut &mut room[..]).await.unwrap();
        assert_eq!((count.min(2), from, &room), (2, one_at, b"sh"));

        // A system call of one's own, on a socket that would block.
        let receive = || {
            let (mut buffer, fd) = ([std::mem::MaybeUninit::uninit(); 8], other.as_fd());
            socket2::SockRef::from(&fd).recv(&mut buffer)
        };
        assert!(would_block(other.try_io(Interest::READABLE, receive)));
        let mut waiting = Box::pin(other.async_io(Interest::READABLE, receive));
        assert!(polled(0, waiting.as_mut()).await.is_none());
        one.send_to(b"four", other_at).await.unwrap();
        assert_eq!(waiting.await.unwrap(), 4);
        assert!(other.ready(Interest::WRITABLE).await.unwrap().is_writable());
    });
}

#[test]
fn unix_datagrams_are_received_in_every_form_without_waiting() {
    heist_runtime::block_on(async {
        let path = format!("\0heist-tries-{}", std::process::id());
        let one = UnixDatagram::bind(&path).unwrap();
        let other = UnixDatagram::unbound().unwrap();
        assert!(would_block(one.try_recv_from(&mut [0; 8])));
        assert_eq!(other.try_send_to(b"one", &path).unwrap(), 3);
        one.readable().await.unwrap();
        let (count, from) = one.try_recv_from(&mut [0; 8]).unwrap();
        assert!(count == 3 && from.is_unnamed());
        other.connect(&path).unwrap();
        other.writable().await.unwrap();
        other.send(b"two").await.unwrap();
        let mut into = Vec::new();
        assert_eq!(one.recv_buf(&mut into).await.unwrap(), 3);
        other.send(b"three").await.unwrap();
        assert_eq!(one.recv_buf_from(&mut into).await.unwrap().0, 5);
        assert_eq!(into, b"twothree");
        let mut sent = 0;
        while other.try_send_to(b"fill", &path).is_ok() {
            sent += 1;
        }
        assert!(sent > 0 && would_block(other.try_send_to(b"full", &path)));
        assert!(would_block(other.try_io(Interest::WRITABLE, || {
            rustix::io::write(&other, b"full").map_err(Into::into)
        })));
        assert!(other.as_raw_fd() > 0);
    });
}
