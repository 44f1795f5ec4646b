//! Many datagrams in one system call, over loopback, whose device segments whatever it is given.

mod common;

use std::io::ErrorKind;

use common::{on_all, udp_pair};
use heist_net::UdpSocket;
use heist_runtime::spawn;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Each system call counts as a batch. Negative control: a sender that ignores the length of the segments sends one datagram
/// a batch.
#[test]
fn one_call_sends_many_datagrams() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let bytes = pattern(40 * 500 + 123);
            let sent = one.send_segments(&bytes, 500).await.unwrap();
            assert_eq!(sent, bytes.len());
            let (mut all, mut buffer) = (Vec::new(), [0; 2000]);
            for _ in 0..40 {
                assert_eq!(other.recv(&mut buffer).await.unwrap(), 500);
                all.extend_from_slice(&buffer[..500]);
            }
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 123);
            all.extend_from_slice(&buffer[..123]);
            assert_eq!(all, bytes);
            assert_eq!(
                other.try_recv(&mut buffer).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
        });
    });
}

/// Negative control: a receiver without `set_gro` gets them one by one, which the last part shows.
#[test]
fn datagrams_are_received_together() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            if let Err(error) = other.set_gro(true) {
                eprintln!("skipped: the kernel does not put datagrams together: {error}");
                return;
            }
            let bytes = pattern(30 * 1000 + 1);
            one.send_segments(&bytes, 1000).await.unwrap();
            let (mut all, mut datagrams, mut calls) = (Vec::new(), 0, 0);
            let mut buffer = vec![0; 65_536];
            while all.len() < bytes.len() {
                let received = other.recv_segments(&mut buffer).await.unwrap();
                assert_eq!(received.from, one.local_addr().unwrap());
                assert!(!received.truncated);
                datagrams += received.iter(&buffer).count();
                all.extend_from_slice(&buffer[..received.len]);
                calls += 1;
            }
            assert_eq!((all == bytes, datagrams), (true, 31));
            if one.max_segments() > 1 {
                assert!(calls < datagrams, "{calls} calls for {datagrams} datagrams");
            }
            other.set_gro(false).unwrap();
            one.send_segments(&bytes[..3000], 1000).await.unwrap();
            for _ in 0..3 {
                let received = other.recv_segments(&mut buffer).await.unwrap();
                assert_eq!((received.len, received.segment), (1000, 1000));
            }
        });
    });
}

/// Far more than a call takes and than the receiver's buffer holds, acknowledged in between so that none is dropped.
#[test]
fn a_megabyte_goes_in_batches() {
    const SEGMENT: usize = 1200;
    on_all(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let _ = other.set_gro(true);
            let bytes = pattern(1 << 20);
            let expected = bytes.clone();
            let receiver = spawn(async move {
                let (mut all, mut buffer, mut datagrams) = (Vec::new(), vec![0; 65_536], 0);
                while all.len() < expected.len() {
                    let received = other.recv_segments(&mut buffer).await.unwrap();
                    for datagram in received.iter(&buffer) {
                        all.extend_from_slice(datagram);
                        datagrams += 1;
                    }
                    other.send(&(all.len() as u64).to_le_bytes()).await.unwrap();
                }
                assert!(all == expected);
                datagrams
            });
            let (mut sent, mut calls) = (0, 0);
            while sent < bytes.len() {
                sent += one.send_segments(&bytes[sent..], SEGMENT).await.unwrap();
                calls += 1;
                let mut received = [0; 8];
                while u64::from_le_bytes(received) < sent as u64 {
                    assert_eq!(one.recv(&mut received).await.unwrap(), 8);
                }
            }
            assert_eq!(receiver.await.unwrap(), bytes.len().div_ceil(SEGMENT));
            // 54 datagrams of 1200 bytes fit into one call.
            assert_eq!(calls, bytes.len().div_ceil(54 * SEGMENT));
        });
    });
}

#[test]
fn odd_lengths_are_sent_or_refused() {
    heist_runtime::block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = other.local_addr().unwrap();
        let error = one.send_segments_to(b"x", 0, to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // One datagram, an empty one, and one that is no datagram any more.
        assert_eq!(one.send_segments_to(b"abc", 100_000, to).await.unwrap(), 3);
        assert_eq!(one.try_send_segments_to(b"", 10, to).unwrap(), 0);
        let error = one.send_segments_to(&[0; 200_000], 100_000, to).await;
        assert_eq!(error.unwrap_err().raw_os_error(), Some(90), "EMSGSIZE");
        let mut buffer = [0; 16];
        let received = other.recv_segments(&mut buffer).await.unwrap();
        assert_eq!(received.iter(&buffer).collect::<Vec<_>>(), [b"abc"]);
        let received = other.recv_segments(&mut buffer).await.unwrap();
        assert_eq!(received.iter(&buffer).collect::<Vec<_>>(), [b""]);
        // More than a small buffer has room for.
        one.send_to(&[1; 50], to).await.unwrap();
        let received = other.recv_segments(&mut buffer).await.unwrap();
        assert!(received.truncated && received.len == 16);
        assert!(other.try_recv_segments(&mut buffer).is_err());
        // Two that are longer than loopback's packets go in fragments.
        let long = vec![3; 2 * 66_000];
        let error = one.send_segments_to(&long, 66_000, to).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE");
    });
}
