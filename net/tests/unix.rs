//! Unix sockets through the public API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{ErrorKind, PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Random, on_all, pause, polled};
use heist_net::unix::{SocketAddr, WithFds};
use heist_net::{UnixDatagram, UnixListener, UnixStream};
use heist_runtime::spawn;

/// A path that nobody else uses, and its file is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "heist-{}-{}.sock",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    /// The same as a name of the abstract namespace.
    fn name(&self) -> String {
        format!("\0{}", self.0.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// The reading end of a pipe in which `number` is written.
fn numbered(number: u64) -> OwnedFd {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&number.to_le_bytes()).unwrap();
    reader.into()
}

fn number(fd: OwnedFd) -> u64 {
    let mut bytes = [0; 8];
    PipeReader::from(fd).read_exact(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// Whether nobody has the other end of the pipe any more. It waits if somebody has.
fn is_closed(mut reader: PipeReader) -> bool {
    reader.read(&mut [0]).unwrap() == 0
}

#[test]
fn many_connections_echo() {
    on_all(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            for at in [place.0.clone(), place.name().into()] {
                let listener = UnixListener::bind(&at).unwrap();
                let server = spawn(async move {
                    for _ in 0..32 {
                        let (mut stream, from) = listener.accept().await.unwrap();
                        assert!(from.is_unnamed());
                        spawn(async move {
                            while let Some(bytes) = stream.recv().await.unwrap() {
                                stream.write_all(&bytes).await.unwrap();
                            }
                        });
                    }
                });
                let clients: Vec<_> = (0..32u8)
                    .map(|client| {
                        let at = at.clone();
                        spawn(async move {
                            let mut stream = UnixStream::connect(at).await.unwrap();
                            let mut back = [0; 256];
                            for round in 1..50 {
                                let size = usize::from(client) + round;
                                stream.write_all(&vec![client; size]).await.unwrap();
                                stream.read_exact(&mut back[..size]).await.unwrap();
                                assert!(back[..size].iter().all(|&byte| byte == client));
                            }
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
                server.await.unwrap();
            }
        });
    });
}

#[test]
fn addresses_credentials_and_halves() {
    heist_runtime::block_on(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place.0).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(&*place.0));
        let error = UnixListener::bind(&place.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let mut client = UnixStream::connect_addr(&address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        assert!(client.local_addr().unwrap().is_unnamed());
        let me = std::fs::metadata("/proc/self").unwrap();
        for found in [client.peer_cred().unwrap(), server.peer_cred().unwrap()] {
            assert_eq!(u32::try_from(found.pid).unwrap(), std::process::id());
            assert_eq!((found.uid, found.gid), (me.uid(), me.gid()));
        }

        let (read, mut write) = server.into_split();
        write.write_all(b"hello").await.unwrap();
        let mut server = read.reunite(write).unwrap();
        let mut back = [0; 5];
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        let sender = spawn(async move { client.write_all_owned(vec![7; 1 << 20]).await.0 });
        let mut total = 0;
        while let Some(bytes) = server.recv().await.unwrap() {
            total += bytes.len();
        }
        assert_eq!(total, 1 << 20);
        sender.await.unwrap().unwrap();

        drop(listener);
        // The kernel lets go of an accept that is under way a moment later.
        let error = loop {
            match UnixStream::connect(&place.0).await {
                Ok(_) => pause(1_000).await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = UnixStream::connect("/no/such/file").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = UnixStream::connect("x".repeat(200)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(UnixDatagram::unbound().unwrap().peer_cred().is_err());
    });
}

/// A connection waits while the listener's backlog is full, and may be given up.
#[test]
fn connecting_waits_for_room_in_the_backlog() {
    on_all(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let at = place.0.clone();
            let domain = socket2::Domain::UNIX;
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
            socket.bind(&socket2::SockAddr::unix(&at).unwrap()).unwrap();
            socket.listen(0).unwrap();
            let first = UnixStream::connect(&at).await.unwrap();
            let mut given_up = spawn({
                let at = at.clone();
                async move { UnixStream::connect(at).await }
            });
            pause(3_000).await;
            assert!(polled(0, &mut given_up).await.is_none());
            given_up.cancel();
            assert!(given_up.await.unwrap_err().is_cancelled());
            let second = spawn(async move { UnixStream::connect(at).await });
            pause(1_000).await;
            let listener = UnixListener::from_std(OwnedFd::from(socket).into()).unwrap();
            for _ in 0..2 {
                listener.accept().await.unwrap();
            }
            second.await.unwrap().unwrap();
            drop(first);
        });
    });
}

/// Receives are dropped at random polls, and each message still comes whole, once, in order, and with its
/// descriptors. Negative control: a drop that takes what is there along is noticed at once.
#[test]
fn a_dropped_receive_loses_no_descriptor() {
    const COUNT: u64 = 400;
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let sender = spawn(async move {
                let mut random = Random(3);
                for next in 0..COUNT {
                    let fds = [numbered(next), numbered(next + 1), numbered(next + 2)];
                    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                    let with = &fds[..(next % 4).min(3) as usize];
                    let sent = one.send_with_fds(&next.to_le_bytes(), with).await;
                    assert_eq!(sent.unwrap(), 8);
                    if random.below(4) == 0 {
                        pause(random.below(300)).await;
                    }
                }
            });
            let (mut random, mut next) = (Random(11), 0);
            while next < COUNT {
                let mut buffer = [0; 8];
                let received = other.recv_with_fds(&mut buffer);
                let Some(found) = polled(random.below(4), received).await else {
                    pause(random.below(100)).await;
                    continue;
                };
                let WithFds { len, fds, .. } = found.unwrap();
                assert_eq!((len, u64::from_le_bytes(buffer)), (8, next));
                assert_eq!(fds.len() as u64, (next % 4).min(3));
                for (fd, expected) in fds.into_iter().zip(next..) {
                    assert_eq!(number(fd), expected);
                }
                next += 1;
            }
            sender.await.unwrap();
            assert_eq!(other.recv_with_fds(&mut [0]).await.unwrap().len, 0);
        });
    });
}

/// Descriptors that nobody receives are closed: with the socket, by a read that does not take them, and with
/// what was received. Negative control: `is_closed` waits for ever while one is kept.
#[test]
fn no_descriptor_is_left_behind() {
    heist_runtime::block_on(async {
        // With the socket, after a receive that had waited was dropped.
        let (reader, writer) = pipe().unwrap();
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut buffer = [0; 8];
        let mut receive = Box::pin(other.recv_with_fds(&mut buffer));
        assert!(polled(0, receive.as_mut()).await.is_none());
        one.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap();
        pause(5_000).await;
        drop(receive);
        drop((writer, one, other));
        assert!(is_closed(reader));

        // By a read, and afterwards descriptors are refused.
        let (reader, writer) = pipe().unwrap();
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap();
        drop(writer);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 1);
        assert!(is_closed(reader));
        let error = other.recv_with_fds(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        // With what was received, of a datagram too.
        let (reader, writer) = pipe().unwrap();
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send_with_fds(b"", &[writer.as_fd()]).await.unwrap();
        drop(writer);
        let (found, from) = other.recv_with_fds(&mut buffer).await.unwrap();
        assert_eq!((found.len, found.fds.len()), (0, 1));
        assert!(from.is_unnamed() && !found.fds_lost && !found.truncated);
        drop(found);
        assert!(is_closed(reader));
    });
}

#[test]
fn as_many_descriptors_as_the_kernel_lets_through() {
    heist_runtime::block_on(async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = one.send_with_fds(b"x", &[null.as_fd(); 254]).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        let error = one.send_with_fds(b"", &[null.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        one.send_with_fds(b"x", &[null.as_fd(); 253]).await.unwrap();
        let found = other.recv_with_fds(&mut [0; 8]).await.unwrap();
        assert_eq!((found.len, found.fds.len()), (1, 253));
        assert!(!found.fds_lost);
    });
}

#[test]
fn ten_thousand_datagrams_are_exchanged() {
    const COUNT: u32 = 10_000;
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let (one, other) = (Arc::new(one), Arc::new(other));
            // Nobody counts what is under way: these wait for room.
            let senders = [(one.clone(), 1), (other.clone(), 2)].map(|(socket, first)| {
                spawn(async move {
                    for number in 0..COUNT {
                        socket
                            .send(&(number * 2 + first).to_le_bytes())
                            .await
                            .unwrap();
                    }
                })
            });
            let receivers = [(one, 2), (other, 1)].map(|(socket, first)| {
                spawn(async move {
                    let (mut random, mut next, mut buffer) = (Random(5), 0, [0; 4]);
                    while next < COUNT {
                        let received = polled(random.below(3), socket.recv(&mut buffer)).await;
                        if let Some(received) = received {
                            assert_eq!(received.unwrap(), 4);
                            assert_eq!(u32::from_le_bytes(buffer), next * 2 + first);
                            next += 1;
                        }
                    }
                })
            });
            for task in senders.into_iter().chain(receivers) {
                task.await.unwrap();
            }
        });
    });
}

/// Negative control: a send that is not tried again after a pause fails, for its socket is always writable.
#[test]
fn a_full_receiver_is_waited_for() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (place, mine) = (Place::new(), Place::new());
            let to = UnixDatagram::bind(&place.0).unwrap();
            let from = UnixDatagram::bind(mine.name()).unwrap();
            let at = place.0.clone();
            let sender = spawn(async move {
                for number in 0..200u32 {
                    let sent = from.send_to(&number.to_le_bytes(), &at).await;
                    assert_eq!(sent.unwrap(), 4);
                }
                from
            });
            pause(3_000).await;
            assert!(!sender.is_finished());
            for number in 0..200 {
                let mut buffer = [0; 4];
                let (length, from) = to.recv_from(&mut buffer).await.unwrap();
                assert_eq!((length, u32::from_le_bytes(buffer)), (4, number));
                assert_eq!(format!("{from:?}"), format!("{:?}", named(&mine)));
            }
            let from = sender.await.unwrap();
            to.send_with_fds_to(b"back", &[to.as_fd()], &named(&mine))
                .await
                .unwrap();
            let (found, back) = from.recv_with_fds(&mut [0; 8]).await.unwrap();
            assert_eq!((found.len, found.fds.len()), (4, 1));
            assert_eq!(back.as_pathname(), Some(&*place.0));
        });
    });
}

fn named(place: &Place) -> SocketAddr {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(&place.name()[1..]).unwrap()
}

#[test]
fn datagrams_in_every_form() {
    heist_runtime::block_on(async {
        let place = Place::new();
        let to = UnixDatagram::bind(&place.0).unwrap();
        let from = UnixDatagram::unbound().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(from.send_to(b"once", &place.0).await.unwrap(), 4);
        let (length, sender) = to.recv_from(&mut buffer).await.unwrap();
        assert!(length == 4 && sender.is_unnamed());

        from.connect(&place.0).unwrap();
        assert_eq!(from.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        assert_eq!(from.send_owned(b"owned".to_vec()).await.0.unwrap(), 5);
        let (received, bytes) = to.recv_owned(Vec::with_capacity(64)).await;
        assert_eq!((received.unwrap(), &*bytes), (5, &b"owned"[..]));
        assert_eq!(from.try_send(b"x").unwrap(), 1);
        assert_eq!(to.try_recv(&mut buffer).unwrap(), 1);
        let error = to.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        from.send(b"a long one").await.unwrap();
        let (found, _) = to.recv_with_fds(&mut buffer).await.unwrap();
        assert!(found.len == 8 && found.truncated);

        let to = UnixDatagram::from_std(to.into_std().unwrap()).unwrap();
        from.send(b"still").await.unwrap();
        assert_eq!(to.recv(&mut buffer).await.unwrap(), 5);
        drop(to);
        let error = from.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = from.send_to(b"x", "/no/such/file").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}
