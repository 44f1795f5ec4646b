//! UDP through the public API.

mod common;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Random, on_all, pause, polled, udp_pair};
use heist_net::UdpSocket;
use heist_runtime::ops::{self, SharedFd};
use heist_runtime::spawn;

#[test]
fn ten_thousand_datagrams_are_exchanged() {
    const COUNT: u32 = 10_000;
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let echo = spawn(async move {
                let mut buffer = [0; 64];
                for _ in 0..COUNT {
                    let length = other.recv(&mut buffer).await.unwrap();
                    assert_eq!(other.send(&buffer[..length]).await.unwrap(), length);
                }
            });
            let (one, mut back) = (Arc::new(one), [0; 64]);
            for number in 0..COUNT {
                // No more under way than the socket's buffer holds, for the kernel drops what does not fit.
                one.send(&number.to_le_bytes()).await.unwrap();
                if number >= 31 {
                    assert_eq!(one.recv(&mut back).await.unwrap(), 4);
                    assert_eq!(back[..4], (number - 31).to_le_bytes());
                }
            }
            for number in COUNT - 31..COUNT {
                one.recv(&mut back).await.unwrap();
                assert_eq!(back[..4], number.to_le_bytes());
            }
            echo.await.unwrap();
        });
    });
}

/// Receives are dropped after some polls or some time, in every form, and each datagram still arrives once
/// and in order. Negative control: a drop that takes a datagram along (as a receive in the kernel's hands may,
/// see `one_shot_operation_loses_what_this_keeps`) is noticed at once.
#[test]
fn a_dropped_receive_loses_no_datagram() {
    const COUNT: u64 = 2_000;
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let received = Arc::new(AtomicU64::new(0));
            let sender = spawn({
                let received = received.clone();
                async move {
                    let mut random = Random(99);
                    for number in 0..COUNT {
                        while number - received.load(Ordering::Acquire) > 32 {
                            pause(50).await;
                        }
                        one.send(&number.to_le_bytes()).await.unwrap();
                        if random.below(8) == 0 {
                            pause(random.below(200)).await;
                        }
                    }
                }
            });
            let (mut random, mut next) = (Random(7), 0);
            while next < COUNT {
                let polls = random.below(4);
                let mut buffer = [0; 8];
                let length = match random.below(4) {
                    0 => polled(polls, other.recv(&mut buffer)).await,
                    1 => polled(polls, other.recv_from(&mut buffer))
                        .await
                        .map(|outcome| outcome.map(|(length, _)| length)),
                    2 => polled(polls, other.recv_owned(Vec::with_capacity(8)))
                        .await
                        .map(|(outcome, bytes)| {
                            buffer.copy_from_slice(&bytes);
                            outcome
                        }),
                    _ => polled(polls, other.recv_from_owned(vec![0; 8].into_boxed_slice()))
                        .await
                        .map(|(outcome, bytes)| {
                            buffer.copy_from_slice(&bytes);
                            outcome.map(|(length, _)| length)
                        }),
                };
                match length {
                    Some(length) => {
                        assert_eq!(length.unwrap(), 8);
                        assert_eq!(u64::from_le_bytes(buffer), next);
                        next += 1;
                        received.store(next, Ordering::Release);
                    }
                    None => pause(random.below(100)).await,
                }
            }
            sender.await.unwrap();
        });
    });
}

#[test]
fn one_shot_operation_loses_what_this_keeps() {
    heist_runtime::block_on(async {
        let (one, other) = udp_pair().await;
        let shared = SharedFd::from(std::os::fd::OwnedFd::from(other.into_std().unwrap()));
        let duplicate = std::os::fd::AsFd::as_fd(&shared).try_clone_to_owned();
        let other = UdpSocket::from_std(duplicate.unwrap().into()).unwrap();
        let mut buffer = [0; 8];

        let mut receive = Box::pin(other.recv(&mut buffer));
        assert!(polled(0, receive.as_mut()).await.is_none());
        one.send(b"kept").await.unwrap();
        pause(20_000).await;
        drop(receive);
        assert_eq!(other.try_recv(&mut buffer).unwrap(), 4);

        let mut receive = Box::pin(ops::recv(&shared, vec![0; 8], 0));
        assert!(polled(0, receive.as_mut()).await.is_none());
        one.send(b"lost").await.unwrap();
        pause(20_000).await;
        drop(receive);
        let error = other.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

/// Negative control: a wait that goes on in a cancelled scope hangs here.
#[test]
fn a_cancelled_task_leaves_the_datagrams_to_others() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let other = Arc::new(other);
            for _ in 0..50 {
                let waiting = spawn({
                    let other = other.clone();
                    async move {
                        let mut buffer = [0; 8];
                        other.recv(&mut buffer).await
                    }
                });
                pause(200).await;
                waiting.cancel();
                assert!(waiting.await.unwrap_err().is_cancelled());
                one.send(b"next").await.unwrap();
                let mut buffer = [0; 8];
                assert_eq!(other.recv(&mut buffer).await.unwrap(), 4);
            }
        });
    });
}

#[test]
fn tasks_that_share_a_socket_get_each_datagram_once() {
    const COUNT: usize = 400;
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let other = Arc::new(other);
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let other = other.clone();
                    spawn(async move {
                        let mut mine = Vec::new();
                        loop {
                            let mut buffer = [0; 8];
                            if other.recv(&mut buffer).await.unwrap() == 0 {
                                return mine;
                            }
                            mine.push(usize::from_le_bytes(buffer));
                        }
                    })
                })
                .collect();
            for number in 0..COUNT {
                one.send(&number.to_le_bytes()).await.unwrap();
                if number % 16 == 0 {
                    pause(300).await;
                }
            }
            let mut all = Vec::new();
            for _ in 0..4 {
                one.send(b"").await.unwrap();
            }
            for task in tasks {
                all.extend(task.await.unwrap());
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..COUNT));
        });
    });
}

#[test]
fn every_form_carries_bytes_and_addresses() {
    heist_runtime::block_on(async {
        let one = UdpSocket::bind("localhost:0").await.unwrap();
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let one_at = one.local_addr().unwrap();
        let other_at: SocketAddr = other.local_addr().unwrap();
        let mut buffer = [0; 16];

        if one_at.is_ipv4() {
            let text = other_at.to_string();
            assert_eq!(one.send_to(b"by name", &text).await.unwrap(), 7);
            assert_eq!(other.peek(&mut buffer).await.unwrap(), 7);
            assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (7, one_at));
            assert_eq!(other.recv_from(&mut buffer).await.unwrap(), (7, one_at));
            assert_eq!(&buffer[..7], b"by name");
            one.connect(other_at).await.unwrap();
            assert_eq!(one.peer_addr().unwrap(), other_at);
            let (sent, bytes) = one.send_owned(b"owned".to_vec()).await;
            assert_eq!((sent.unwrap(), &*bytes), (5, &b"owned"[..]));
            let (received, bytes) = other.recv_from_owned(Vec::with_capacity(16)).await;
            assert_eq!((received.unwrap(), &*bytes), ((5, one_at), &b"owned"[..]));
            let (sent, _) = other.send_to_owned("back", one_at).await;
            assert_eq!(sent.unwrap(), 4);
            one.readable().await.unwrap();
            assert_eq!(one.try_recv_from(&mut buffer).unwrap(), (4, other_at));
        }
        // What does not fit is lost, and the next one is whole.
        one.writable().await.unwrap();
        other.try_send_to(b"a long one", one_at).unwrap();
        other.try_send_to(b"b", one_at).unwrap();
        assert_eq!(one.recv(&mut buffer[..3]).await.unwrap(), 3);
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 1);
        // An empty datagram is one too.
        other.send_to(b"", one_at).await.unwrap();
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn errors_are_told() {
    heist_runtime::block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let huge = vec![0; 70_000];
        let to = socket.local_addr().unwrap();
        let error = socket.send_to(&huge, to).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE");
        let error = socket.send(b"to nobody").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(89), "EDESTADDRREQ");
        assert_eq!(
            socket.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        let error = UdpSocket::bind(to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let none: &[SocketAddr] = &[];
        let error = socket.send_to(b"", none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        // The answer that nobody listens ends a receive that waits.
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(gone.local_addr().unwrap()).await.unwrap();
        drop(gone);
        socket.send(b"anybody?").await.unwrap();
        let error = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn options_are_set() {
    heist_runtime::block_on(async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(3).unwrap();
        assert_eq!(socket.ttl().unwrap(), 3);
        socket.set_multicast_ttl_v4(4).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 4);
        socket.set_recv_buffer_size(8192).unwrap();
        assert_eq!(socket.recv_buffer_size().unwrap(), 16384);
        socket.set_send_buffer_size(8192).unwrap();
        assert_eq!(socket.send_buffer_size().unwrap(), 16384);
        assert!(socket.take_error().unwrap().is_none());
        if let Ok(socket) = UdpSocket::bind("[::1]:0").await {
            socket.set_multicast_hops_v6(5).unwrap();
            assert_eq!(socket.multicast_hops_v6().unwrap(), 5);
            socket.set_multicast_loop_v6(false).unwrap();
            assert!(!socket.multicast_loop_v6().unwrap());
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x1, 0x1234);
            if socket.join_multicast_v6(group, 1).is_ok() {
                socket.leave_multicast_v6(group, 1).unwrap();
            }
        }
    });
}

#[test]
fn a_multicast_datagram_arrives_until_the_group_is_left() {
    heist_runtime::block_on(async {
        let group = Ipv4Addr::new(239, 255, 77, 3);
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        if let Err(error) = socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST) {
            eprintln!("skipped: no multicast here: {error}");
            return;
        }
        socket.set_multicast_loop_v4(true).unwrap();
        assert!(socket.multicast_loop_v4().unwrap());
        // The sender is bound to the interface whose group was joined.
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Err(error) = sender.send_to(b"to all", (group, port)).await {
            eprintln!("skipped: no multicast route here: {error}");
            return;
        }
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).await.unwrap(), 6);
        socket
            .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        sender.send_to(b"to nobody", (group, port)).await.unwrap();
        pause(20_000).await;
        let error = socket.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn sockets_go_to_the_standard_library_and_back() {
    heist_runtime::block_on(async {
        let (one, other) = udp_pair().await;
        let mut buffer = [0; 8];
        // A wait that was dropped a moment ago does not keep the socket.
        assert!(polled(0, other.recv(&mut buffer)).await.is_none());
        let other = other.into_std().unwrap();
        other.set_nonblocking(true).unwrap();
        let other = UdpSocket::from_std(other).unwrap();
        one.send(b"still").await.unwrap();
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 5);
    });
}
