//! TCP through the public API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/refusing.rs"]
mod refusing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::on_all;
use heist_net::{TcpListener, TcpListenerStream, TcpSocket, TcpStream};
use heist_runtime::time::{Instant, Timer};
use heist_runtime::{Builder, spawn};
use refusing::refusing;

async fn echo_server(listener: TcpListener, connections: usize) {
    for _ in 0..connections {
        let (mut stream, _) = listener.accept().await.unwrap();
        spawn(async move {
            while let Some(bytes) = stream.recv().await.unwrap() {
                stream.write_all(&bytes).await.unwrap();
            }
        });
    }
}

#[test]
fn many_connections_echo() {
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            spawn(echo_server(listener, 64));
            let clients: Vec<_> = (0..64u32)
                .map(|client| {
                    spawn(async move {
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        stream.set_nodelay(true).unwrap();
                        let mut back = [0; 512];
                        for round in 0..50u32 {
                            let size = ((client * 31 + round * 7) % 500 + 1) as usize;
                            let byte = (client + round) as u8;
                            stream.write_all(&vec![byte; size]).await.unwrap();
                            stream.read_exact(&mut back[..size]).await.unwrap();
                            assert!(back[..size].iter().all(|&b| b == byte));
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
        });
    });
}

#[test]
fn bulk_arrives_whole_beside_a_slow_reader() {
    const TOTAL: usize = 8 << 20;
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let sender = spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let data: Vec<u8> = (0..TOTAL).map(|i| (i % 251) as u8).collect();
                let (sent, _) = stream.write_all_owned(data).await;
                sent.unwrap();
            });
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut at = 0;
            while let Some(bytes) = stream.recv().await.unwrap() {
                for &byte in bytes.iter() {
                    assert_eq!(byte, (at % 251) as u8, "at {at}");
                    at += 1;
                }
                if at % 7 == 0 {
                    Timer::new(Instant::now() + Duration::from_micros(100)).await;
                }
            }
            assert_eq!(at, TOTAL);
            sender.await.unwrap();
        });
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    on_all(|runtime| {
        let error = runtime
            .block_on(TcpStream::connect(refusing()))
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn halves_work_apart_and_reunite() {
    heist_runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let (mut read, mut write) = client.into_split();
        let writer = spawn(async move {
            write.write_all(b"hello").await.unwrap();
            write
        });
        let mut five = [0; 5];
        server.read_exact(&mut five).await.unwrap();
        server.write_all(&five).await.unwrap();
        assert_eq!(&*read.recv().await.unwrap().unwrap(), b"hello");
        let write = writer.await.unwrap();
        let mut client = read.reunite(write).unwrap();
        client.write_all(b"again").await.unwrap();
        server.read_exact(&mut five).await.unwrap();
        drop(client);
        assert!(server.recv().await.unwrap().is_none());
    });
}

#[test]
fn several_tasks_accept_from_one_listener() {
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = std::sync::Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
            let address = listener.local_addr().unwrap();
            let acceptors: Vec<_> = (0..4)
                .map(|_| {
                    let listener = listener.clone();
                    spawn(async move {
                        for _ in 0..25 {
                            let (mut stream, _) = listener.accept().await.unwrap();
                            stream.write_all(b"x").await.unwrap();
                        }
                    })
                })
                .collect();
            for _ in 0..100 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
            for acceptor in acceptors {
                acceptor.await.unwrap();
            }
        });
    });
}

/// I/O that keeps every worker busy must not keep timers, mail and the injector from their turn.
#[test]
fn a_timer_fires_beside_saturated_echoes() {
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            spawn(echo_server(listener, 64));
            let clients: Vec<_> = (0..64)
                .map(|_| {
                    spawn(async move {
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        let mut back = [0; 64];
                        loop {
                            stream.write_all(&back).await.unwrap();
                            stream.read_exact(&mut back).await.unwrap();
                        }
                    })
                })
                .collect();
            for _ in 0..20 {
                let start = std::time::Instant::now();
                Timer::new(Instant::now() + Duration::from_millis(5)).await;
                assert!(start.elapsed() < Duration::from_secs(5));
            }
            for client in clients {
                client.cancel();
            }
        });
    });
}

/// Control: a `poll_next` that accepts into a future of its own, and drops that, loses connections.
#[test]
fn a_listener_is_a_stream_of_connections() {
    use heist_sync::stream::StreamExt;
    use heist_sync::time::timeout;
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut incoming = TcpListenerStream::new(listener);
            let connect = spawn(async move {
                let mut clients = Vec::new();
                for _ in 0..20 {
                    clients.push(TcpStream::connect(address).await.unwrap());
                }
                clients
            });
            let mut accepted = Vec::new();
            while accepted.len() < 20 {
                // Gives up again and again.
                if let Ok(next) = timeout(Duration::from_micros(50), incoming.next()).await {
                    let stream = next.expect("it never ends").unwrap();
                    accepted.push(stream.peer_addr().unwrap());
                }
            }
            let clients = connect.await.unwrap();
            let mut connected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
            accepted.sort();
            connected.sort();
            assert_eq!(accepted, connected);
            assert_eq!(incoming.into_inner().local_addr().unwrap(), address);
        });
    });
}

/// A listener whose backlog is full: the kernel drops what else wants to connect, without an answer.
async fn deaf() -> (socket2::Socket, SocketAddr, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let first = std::net::TcpStream::connect(address).unwrap();
    (socket, address, vec![first])
}

/// Negative control: one attempt after the other waits for the first until the kernel gives up, minutes later.
#[test]
fn an_address_that_does_not_answer_costs_a_head_start() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (_kept, silent, _filled) = deaf().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let good = listener.local_addr().unwrap();
            let started = Instant::now();
            let stream = TcpStream::connect(&[silent, good][..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            let elapsed = started.elapsed();
            assert!(elapsed >= Duration::from_millis(250), "{elapsed:?}");
            assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
        });
    });
}

#[test]
fn an_address_that_refuses_costs_no_time() {
    heist_runtime::block_on(async {
        let refuses = refusing();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let started = Instant::now();
        // Each of 400 would be a head start of 250 ms: 100 s.
        let mut addresses = vec![refuses; 400];
        addresses.push(good);
        TcpStream::connect(&addresses[..]).await.unwrap();
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");

        let error = TcpStream::connect(&[refuses, refuses][..]).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    });
}

/// Negative control: an attempt that were left to itself would still be waiting when the runtime ends, which
/// `shutdown` tells.
#[test]
fn attempts_end_with_their_race() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (_kept, silent, _filled) = deaf().await;
        for _ in 0..20 {
            let race = spawn(async move { TcpStream::connect(&[silent, silent][..]).await });
            Timer::new(Instant::now() + Duration::from_millis(3)).await;
            race.cancel();
            assert!(race.await.unwrap_err().is_cancelled());
        }
    });
    assert!(runtime.shutdown(Duration::from_secs(20)).is_clean());
}

/// Negative control: without `set_reuseport` the second bind fails.
#[test]
fn listeners_that_share_a_port_share_its_connections() {
    const CONNECTIONS: usize = 64;
    heist_runtime::block_on(async {
        let bind = |address| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseport(true).unwrap();
            assert!(socket.reuseport().unwrap());
            socket.bind(address)?;
            socket.listen(128)
        };
        let one = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = one.local_addr().unwrap();
        let other = bind(address).unwrap();
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);

        let counts = [one, other].map(|listener| {
            let accepted = Arc::new(AtomicUsize::new(0));
            let count = accepted.clone();
            let task = spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    accepted.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(b"x").await.unwrap();
                }
            });
            (task, count)
        });
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
        }
        let each = counts.map(|(task, count)| {
            task.cancel();
            count.load(Ordering::Relaxed)
        });
        assert_eq!(each.iter().sum::<usize>(), CONNECTIONS);
        // The kernel spreads them by a hash: none for one of two has a chance of 2^-63.
        assert!(each.iter().all(|&count| count > 0), "{each:?}");
    });
}

#[test]
fn options_are_set_before_connecting() {
    heist_runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        socket.set_recv_buffer_size(16384).unwrap();
        assert_eq!(socket.recv_buffer_size().unwrap(), 32768);
        socket.set_send_buffer_size(16384).unwrap();
        assert_eq!(socket.send_buffer_size().unwrap(), 32768);
        socket.set_nodelay(true).unwrap();
        socket.set_keepalive(true).unwrap();
        socket.set_linger(None).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mine = socket.local_addr().unwrap();
        let stream = socket.connect(listener.local_addr().unwrap()).await;
        let stream = stream.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(listener.accept().await.unwrap().1, mine);
    });
}
