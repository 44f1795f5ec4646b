//! Every leaf of the runtime and of `net` keeps the rules: it does not start in a cancelled scope, and one
//! that waits ends with its scope, with nothing left in the kernel. (`sync/tests/leaves.rs` has the locks.)
//!
//! Negative control: without `leaf.start()` in `Op::poll`, the operations of the first test are submitted;
//! without `cancel_for_scope` there, those of the second are orphaned.

use heist::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener};
use heist::ops::{self, Acceptor, OpenOptions, Receiver, SharedFd};
use heist::scope::{Exit, Reason, Scope, catch};
use heist::time::sleep;
use heist::{spawn, spawn_blocking};
use std::future::{Future, pending};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::time::Duration;

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
/// Control: without the poll of all of them in a cancelled scope, those operations are orphaned.
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
