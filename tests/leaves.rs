//! Every leaf of the runtime and of `net` keeps the rules: it does not start in a cancelled scope, and one
//! that waits ends with its scope, with nothing left in the kernel. (`sync/tests/leaves.rs` has the locks.)
//!
//! Negative control: without `leaf.start()` in `Op::poll`, the operations of the first test are submitted;
//! without `cancel_for_scope` there, those of the second are orphaned.
//!
//! Sockets are waited for again and again: the tests at the end are about what a wait leaves to the next one.

use heist::net::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite};
use heist::net::{
    TcpListener, TcpListenerStream, TcpStream, UdpSocket, UnixDatagram, UnixListener,
};
use heist::ops::{self, Acceptor, OpenOptions, Receiver, SharedFd};
use heist::scope::{Exit, Reason, Scope, catch};
use heist::sync::stream::StreamExt;
use heist::time::{sleep, timeout};
use heist::{spawn, spawn_blocking};
use std::future::{Future, pending, poll_fn};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

type Leaf = Pin<Box<dyn Future<Output = ()> + Send>>;

const LONG: Duration = Duration::from_secs(600);

fn pair() -> (SharedFd, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair");
    (SharedFd::new(here.into()), there)
}

/// Something that nobody accepts from, sends to or completes, for each kind of leaf.
async fn leaves() -> Vec<(&'static str, Leaf)> {
    let mut leaves: Vec<(&'static str, Leaf)> = Vec::new();
    let mut add = |name, leaf: Leaf| leaves.push((name, leaf));
    add("sleep", Box::pin(sleep(LONG)));
    let task = spawn(pending::<()>()).cancel_on_drop();
    add("JoinHandle", Box::pin(async { drop(task.await) }));
    let (fd, other) = pair();
    let receive = ops::recv(&fd, vec![0; 8], 0);
    add(
        "ops::recv",
        Box::pin(async move { drop((receive.await, other)) }),
    );
    let (fd, other) = pair();
    let ready = ops::poll_ready(&fd, libc::POLLIN as u32);
    add(
        "ops::poll_ready",
        Box::pin(async move { drop((ready.await, other)) }),
    );
    // Multishot ones are left to the runtime, which keeps what arrives late; so they come last.
    let (fd, other) = pair();
    add(
        "ops::Receiver",
        Box::pin(async move {
            drop((Receiver::new(fd).recv().await, other));
        }),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut acceptor = Acceptor::new(SharedFd::new(listener.into()));
    add(
        "ops::Acceptor",
        Box::pin(async move { drop(acceptor.accept().await) }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut client = TcpStream::connect(address).await.expect("connected");
    let (server, _) = listener.accept().await.expect("accepted");
    let silent = TcpStream::connect(address).await.expect("connected");
    let (mut talker, _) = listener.accept().await.expect("accepted");
    add(
        "TcpListener::accept",
        Box::pin(async move { drop(listener.accept().await) }),
    );
    add(
        "TcpStream::recv",
        Box::pin(async move { drop((client.recv().await, server)) }),
    );
    add(
        "TcpStream::write_all",
        Box::pin(async move {
            // More than the socket takes.
            drop((talker.write_all(&vec![0; 1 << 26]).await, silent));
        }),
    );
    leaves.extend(datagram_leaves().await);
    leaves
}

/// The same of sockets for datagrams, and of Unix sockets.
async fn datagram_leaves() -> Vec<(&'static str, Leaf)> {
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let (full, reader) = UnixDatagram::pair().expect("a pair");
    let (quiet, other) = UnixDatagram::pair().expect("a pair");
    let (mut stream, peer) = heist::net::UnixStream::pair().expect("a pair");
    let name = format!("\0leaves-{}-{:p}", std::process::id(), &raw const udp);
    let listener = UnixListener::bind(name).expect("nobody has the name");
    vec![
        (
            "UdpSocket::recv",
            Box::pin(async move { drop(udp.recv(&mut [0; 8]).await) }),
        ),
        (
            "UnixDatagram::send",
            Box::pin(async move {
                while full.send(&[0; 1024]).await.is_ok() {}
                drop(reader);
            }),
        ),
        (
            "UnixDatagram::recv_from",
            Box::pin(async move { drop((quiet.recv_from(&mut [0; 8]).await, other)) }),
        ),
        (
            "UnixStream::recv_with_fds",
            Box::pin(async move { drop((stream.recv_with_fds(&mut [0; 8]).await, peer)) }),
        ),
        (
            "UnixListener::accept",
            Box::pin(async move { drop(listener.accept().await) }),
        ),
    ]
}

/// Leaves that end by themselves if they start.
fn quick() -> Vec<(&'static str, Leaf)> {
    vec![
        ("sleep(0)", Box::pin(sleep(Duration::ZERO))),
        ("yield_now", Box::pin(heist::yield_now())),
        ("spawn", Box::pin(async { drop(spawn(async {}).await) })),
        (
            "spawn_blocking",
            Box::pin(async { drop(spawn_blocking(|| ()).await) }),
        ),
        (
            "connect",
            Box::pin(async { drop(TcpStream::connect("127.0.0.1:9").await) }),
        ),
        ("UdpSocket::send_to", Box::pin(udp_send())),
        ("UnixStream::connect", Box::pin(unix_connect())),
    ]
}

async fn udp_send() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let to = socket.local_addr().expect("it is bound");
    let socket = UdpSocket::from_std(socket).expect("a socket");
    drop(socket.send_to(b"x", to).await);
}

async fn unix_connect() {
    drop(heist::net::UnixStream::connect("/no/such/file").await);
}

/// Every other operation; none of them takes long.
fn operations() -> Vec<(&'static str, Leaf)> {
    let (fd, other) = pair();
    let zero = std::fs::File::open("/dev/zero").expect("it is everywhere");
    let file = SharedFd::new(zero.into());
    let closed = std::fs::File::open("/dev/null").expect("it is everywhere");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9)).into();
    let nothing = "/dev/null";
    let open = ops::open(nothing, OpenOptions::new().read(true)).expect("a path");
    let statx = ops::statx(nothing).expect("a path");
    let (connect, send) = (ops::connect(&fd, address), ops::send(&fd, vec![b'x'], 0, 0));
    let zero_copy = ops::send_zero_copy(&fd, vec![b'x'], 0);
    let (receive, message) = (
        ops::recv_msg(&fd, vec![0; 8]),
        ops::send_msg(&fd, vec![b'x'], None),
    );
    let shutdown = ops::shutdown(&fd, std::net::Shutdown::Both);
    let (read, write) = (
        ops::read_at(&file, vec![0; 8], 0),
        ops::write_at(&file, vec![b'x'], 0),
    );
    let (sync, close) = (ops::fsync(&file, true), ops::close(closed.into()));
    vec![
        ("ops::connect", Box::pin(async { drop(connect.await) })),
        ("ops::send", Box::pin(async { drop(send.await) })),
        (
            "ops::send_zero_copy",
            Box::pin(async { drop(zero_copy.await) }),
        ),
        ("ops::recv_msg", Box::pin(async { drop(receive.await) })),
        ("ops::send_msg", Box::pin(async { drop(message.await) })),
        (
            "ops::shutdown",
            Box::pin(async { drop((shutdown.await, other)) }),
        ),
        ("ops::open", Box::pin(async { drop(open.await) })),
        ("ops::read_at", Box::pin(async { drop(read.await) })),
        ("ops::write_at", Box::pin(async { drop(write.await) })),
        ("ops::fsync", Box::pin(async { drop(sync.await) })),
        ("ops::statx", Box::pin(async { drop(statx.await) })),
        ("ops::close", Box::pin(async { drop(close.await) })),
    ]
}

#[test]
fn no_leaf_starts_in_a_cancelled_scope() {
    let runtime = heist::Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut all = leaves().await;
        all.extend(quick());
        all.extend(operations());
        for (name, leaf) in all {
            let before = runtime.metrics().total().submissions;
            let scope = Scope::new();
            scope.cancel(Reason::Explicit);
            let exit = catch(&scope, leaf).await;
            assert!(
                matches!(exit, Exit::Cancelled(Reason::Explicit)),
                "{name}: {exit:?}"
            );
            let after = runtime.metrics().total().submissions;
            if name.starts_with("ops") {
                assert_eq!(before, after, "{name} was submitted");
            }
        }
    });
}

#[test]
fn a_leaf_that_waits_ends_with_its_scope() {
    let runtime = heist::Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        for (name, leaf) in leaves().await {
            let scope = Scope::new();
            let canceller = scope.clone();
            let before = runtime.metrics().total().orphans;
            let task = spawn(async move { catch(&scope, leaf).await });
            sleep(Duration::from_millis(3)).await;
            assert!(!task.is_finished(), "{name} did not wait");
            assert!(canceller.cancel(Reason::Race));
            let exit = heist::time::timeout(Duration::from_secs(20), task).await;
            let exit = exit
                .unwrap_or_else(|_| panic!("{name} does not end"))
                .unwrap();
            assert!(
                matches!(exit, Exit::Cancelled(Reason::Race)),
                "{name}: {exit:?}"
            );
            if name == "ops::recv" || name == "ops::poll_ready" {
                assert_eq!(
                    runtime.metrics().total().orphans,
                    before,
                    "{name} was left behind"
                );
            }
        }
    });
    assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
}

/// More futures than `join_all` polls without having been woken.
///
/// Control, tried: without the poll of all of them in a cancelled scope, those operations are orphaned.
#[test]
fn all_of_many_joined_operations_end_with_their_scope() {
    let runtime = heist::Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let before = runtime.metrics().total().orphans;
        let task = spawn(async {
            let pairs: Vec<_> = (0..100).map(|_| pair()).collect();
            let receives = pairs.iter().map(|(fd, _)| ops::recv(fd, vec![0; 8], 0));
            heist::sync::join_all(receives).await;
        });
        sleep(Duration::from_millis(5)).await;
        assert!(task.cancel());
        assert!(task.await.is_err());
        assert_eq!(runtime.metrics().total().orphans, before);
    });
}

/// Begins a wait and gives it up. Then comes what it waited for, and the next one in a cancelled scope has to leave
/// it to the one after that.
async fn again<T>(
    name: &str,
    mut wait: impl AsyncFnMut() -> io::Result<T>,
    come: impl AsyncFnOnce(),
) {
    {
        let mut first = pin!(wait());
        let polled = poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
        assert!(polled, "{name} did not wait");
    }
    come().await;
    sleep(Duration::from_millis(3)).await;
    let scope = Scope::new();
    scope.cancel(Reason::Explicit);
    let exit = catch(&scope, wait()).await;
    assert!(matches!(exit, Exit::Cancelled(_)), "{name} was begun");
    let last = timeout(Duration::from_secs(10), wait()).await;
    let last = last.unwrap_or_else(|_| panic!("{name}: it is gone"));
    assert!(last.is_ok(), "{name}");
}

async fn tcp() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let here = TcpStream::connect(address).await.expect("connected");
    (here, listener.accept().expect("accepted").0)
}

fn unix() -> (heist::net::UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair");
    let here = heist::net::UnixStream::from_std(here).expect("a socket");
    (here, there)
}

/// Controls, tried once each: without `start` in `Reader` and `Receiver` the polls by hand fail, and without that in
/// `LeafFn` besides all the others.
#[test]
fn a_read_that_was_given_up_does_not_begin_the_next_one() {
    heist::Builder::new().worker_threads(2).build().unwrap().block_on(async {
        macro_rules! check {
            ($name:literal, $pair:expr, $place:ident => $wait:expr) => {
                let ($place, mut peer) = $pair;
                let mut $place = $place;
                again($name, async || $wait, async || peer.write_all(b"a line\n").unwrap()).await;
            };
        }
        check!("TcpStream::recv", tcp().await, s => s.recv().await);
        check!("TcpStream::poll_recv", tcp().await, s => poll_fn(|cx| s.poll_recv(cx)).await);
        check!("TcpStream::read", tcp().await, s => s.read(&mut [0; 4]).await);
        check!("TcpStream::poll_read", tcp().await, s => poll_fn(|cx| s.poll_read(cx, &mut [0; 4])).await);
        check!("TcpStream::read_exact", tcp().await, s => s.read_exact(&mut [0; 4]).await);
        check!("AsyncReadExt::read", tcp().await, s => AsyncReadExt::read(&mut s, &mut [0; 4]).await);
        check!("read_line", tcp().await, s => s.read_line(&mut String::new()).await);
        check!("UnixStream::recv", unix(), s => s.recv().await);
        check!("UnixStream::read", unix(), s => s.read(&mut [0; 4]).await);
        check!("UnixStream::read_exact", unix(), s => s.read_exact(&mut [0; 4]).await);
        let (stream, peer) = tcp().await;
        check!("OwnedReadHalf::recv", (stream.into_split().0, peer), s => s.recv().await);
        let (stream, peer) = unix();
        check!("OwnedReadHalf::read", (stream.into_split().0, peer), s => s.read(&mut [0; 4]).await);
        let (stream, peer) = pair();
        check!("Receiver::recv", (Receiver::new(stream), peer), s => s.recv().await);
        let (stream, peer) = pair();
        check!("Receiver::poll_recv", (Receiver::new(stream), peer), s => poll_fn(|cx| s.poll_recv(cx)).await);
    });
}

/// Control, tried: as above, with `ops::Sender`, which is below `Writer`.
#[test]
fn a_write_that_was_given_up_does_not_begin_the_next_one() {
    heist::Builder::new()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(async {
            // TCP would make its buffers larger in between.
            let (mut stream, mut peer) = unix();
            let much = vec![0; 1 << 20];
            let full = timeout(Duration::from_millis(50), async {
                while stream.write(&much).await.is_ok() {}
            });
            assert!(full.await.is_err());
            peer.set_nonblocking(true).unwrap();
            let mut drain = async || {
                let mut sink = vec![0; 1 << 20];
                for _ in 0..20 {
                    while peer.read(&mut sink).is_ok() {}
                    sleep(Duration::from_millis(1)).await;
                }
            };
            again("write", async || stream.write(&much).await, &mut drain).await;
            let mut write = async || poll_fn(|cx| stream.poll_write(cx, &much)).await;
            while timeout(Duration::from_millis(5), write()).await.is_ok() {}
            again("poll_write", write, drain).await;
        });
}

/// Control, tried: as above, with `Incoming` and `Acceptor`.
#[test]
fn a_listener_that_is_shared_keeps_nothing_of_the_waits() {
    heist::Builder::new()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(async {
            macro_rules! check {
                ($name:literal, $place:ident => $wait:expr) => {
                    let $place = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = $place.local_addr().unwrap();
                    let mut client = None;
                    let connect =
                        async || client = Some(std::net::TcpStream::connect(address).unwrap());
                    again($name, async || $wait, connect).await;
                };
            }
            check!("TcpListener::accept", l => l.accept().await);
            check!("TcpListener::poll_accept", l => poll_fn(|cx| l.poll_accept(cx)).await);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut stream = TcpListenerStream::new(listener);
            let connect = async || drop(std::net::TcpStream::connect(address).unwrap());
            again(
                "TcpListenerStream",
                async || stream.next().await.unwrap(),
                connect,
            )
            .await;

            let path = format!("\0leaves-shared-{}", std::process::id());
            let listener = UnixListener::bind(&path).unwrap();
            let connect = async || drop(heist::net::UnixStream::connect(&path).await.unwrap());
            again(
                "UnixListener::accept",
                async || listener.accept().await,
                connect,
            )
            .await;

            // One that waits, and another one whose scope is cancelled.
            let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
            let address = listener.local_addr().unwrap();
            let shared = Arc::clone(&listener);
            let waits = spawn(async move { shared.accept().await.map(drop) });
            sleep(Duration::from_millis(3)).await;
            let scope = Scope::new();
            let mut other = pin!(catch(&scope, listener.accept()));
            assert!(poll_fn(|cx| Poll::Ready(other.as_mut().poll(cx).is_pending())).await);
            scope.cancel(Reason::Explicit);
            assert!(matches!(other.await, Exit::Cancelled(_)));
            let _client = std::net::TcpStream::connect(address).unwrap();
            waits.await.unwrap().unwrap();
        });
}

/// Outside of the workers a receiver waits for readiness, with an operation that outlives the future that began it.
///
/// Control, tried: a `Receiver` that polls that operation in the cancelled scope keeps the scope busy for good.
#[test]
fn a_wait_for_readiness_does_not_keep_the_scope_of_a_future_that_is_gone() {
    let runtime = heist::Builder::new().worker_threads(2).build().unwrap();
    let _entered = runtime.enter();
    let (fd, mut peer) = pair();
    let mut receiver = Receiver::new(fd);
    let scope = Scope::new();
    let mut cx = Context::from_waker(Waker::noop());
    let exit = {
        let mut body = pin!(catch(&scope, async {
            {
                let mut receive = pin!(receiver.recv());
                let mut polls = 0;
                poll_fn(|cx| {
                    assert!(receive.as_mut().poll(cx).is_pending());
                    scope.cancel(Reason::Explicit);
                    polls += 1;
                    if polls == 2 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
            pending::<()>().await;
        }));
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            if let Poll::Ready(exit) = body.as_mut().poll(&mut cx) {
                break exit;
            }
            assert!(
                Instant::now() < end,
                "the scope waits for a wait that nobody polls"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    assert!(matches!(exit, Exit::Cancelled(_)));
    peer.write_all(b"x").unwrap();
    let mut receive = pin!(receiver.recv());
    let end = Instant::now() + Duration::from_secs(5);
    while receive.as_mut().poll(&mut cx).is_pending() {
        assert!(Instant::now() < end, "the byte is lost");
        std::thread::sleep(Duration::from_millis(1));
    }
}
