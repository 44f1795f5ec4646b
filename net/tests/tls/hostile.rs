//! Peers that speak no TLS, break its rules, or are cut off.

use std::io::ErrorKind;

use heist_net::TcpStream;
use heist_net::io::{AsyncReadExt, AsyncWriteExt};
use heist_net::tls::TlsStream;
use heist_runtime::{block_on, spawn};

use crate::ends::*;
use crate::support::{Chance, pair};

#[test]
fn what_is_not_tls() {
    let (connector, acceptor) = friends();
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for garbage in [&http[..], b"SSH-2.0-OpenSSH_9.6\r\n", &[0; 64], &[0xff; 64]] {
        block_on(async {
            let (client, mut server) = pair().await;
            server.write_all(garbage).await.unwrap();
            let error = cause(connector.connect("a.test", client).await);
            assert!(error.is_not_tls() && !error.is_certificate(), "{error}");
            assert!(error.to_string().contains("port"), "{error}");
            let (mut client, server) = pair().await;
            client.write_all(garbage).await.unwrap();
            let error = cause(acceptor.accept(server).await);
            assert!(error.is_not_tls(), "{error}");
        });
    }
}

/// Bytes that begin as a record does, and then do not make sense.
#[test]
fn broken_handshakes_end_with_an_error() {
    let (connector, acceptor) = friends();
    let mut chance = Chance::new(1);
    for _ in 0..200 {
        let length = 1 + chance.below(300);
        let mut bytes = vec![22, 3, 3, (length >> 8) as u8, length as u8];
        bytes.extend((0..length).map(|_| chance.below(256) as u8));
        // Half of them as a hello of the right kind.
        if chance.below(2) == 0 {
            bytes[5] = 1 + chance.below(2) as u8;
            bytes[6..9.min(5 + length)].fill(0);
        }
        block_on(async {
            let (client, mut server) = pair().await;
            server.write_all(&bytes).await.unwrap();
            drop(server);
            connector.connect("a.test", client).await.unwrap_err();
            let (mut client, server) = pair().await;
            client.write_all(&bytes).await.unwrap();
            drop(client);
            acceptor.accept(server).await.unwrap_err();
        });
    }
}

#[test]
fn a_peer_that_leaves_in_the_handshake() {
    let (connector, acceptor) = friends();
    block_on(async {
        let (client, server) = pair().await;
        drop(server);
        let error = connector.connect("a.test", client).await.unwrap_err();
        let kinds = [
            ErrorKind::UnexpectedEof,
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
        ];
        assert!(kinds.contains(&error.kind()), "{error}");
        let (client, server) = pair().await;
        drop(client);
        assert!(cause(acceptor.accept(server).await).is_truncated());
    });
}

/// Every byte of the record of "secret" is turned over once: the reader gets an error, never other bytes. Control, tried: a handshake that
/// ends before the kernel has its last bytes. The first write of the server then waits for a flush, in one of a hundred connections.
#[test]
fn a_changed_record_is_noticed() {
    for at in 0..28 {
        block_on(async {
            let (connector, acceptor) = friends();
            let (client, middle) = pair().await;
            let (other_middle, server) = pair().await;
            let _relay = spawn(meddle(middle, other_middle, at));
            let (client, server) = shake(&connector, &acceptor, "a.test", (client, server)).await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            // The tickets have gone by then, and the next record is this one.
            server.write_all(b"ready").await.unwrap();
            client.read_exact(&mut [0; 5]).await.unwrap();
            client.write_all(b"go").await.unwrap();
            server.read_exact(&mut [0; 2]).await.unwrap();
            server.write_all(b"secret").await.unwrap();
            let error = match client.recv().await {
                Err(error) => error,
                Ok(received) => {
                    // The version at the head of a record means nothing in TLS 1.3.
                    assert!([1, 2].contains(&at), "{at}");
                    assert_eq!(received.as_deref(), Some(&b"secret"[..]));
                    return;
                }
            };
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{at}: {error}");
            // It is told again and again, and writing is over as well.
            client.recv().await.unwrap_err();
            client.write(b"x").await.unwrap_err();
        });
    }
}

/// Relays, and turns over one byte of the first bytes that the server sends after the client has said "go".
async fn meddle(client: TcpStream, server: TcpStream, at: usize) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let said = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let flag = said.clone();
    let up = spawn(async move {
        while let Ok(Some(bytes)) = from_client.recv().await {
            // The record of "go" is the only one of this size.
            if bytes.len() == 2 + 5 + 17 {
                flag.store(1, std::sync::atomic::Ordering::SeqCst);
            }
            if to_server.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    while let Ok(Some(bytes)) = from_server.recv().await {
        let mut bytes = bytes.to_vec();
        if said.swap(0, std::sync::atomic::Ordering::SeqCst) == 1 {
            // Its length may grow: then there is nothing to be decrypted, and the end comes first.
            if at != 3 && at != 4 {
                bytes[at] ^= 0x40;
            } else {
                bytes[at] ^= 1;
                bytes.extend([0; 300]);
            }
        }
        if to_client.write_all(&bytes).await.is_err() {
            break;
        }
    }
    drop(to_client);
    up.await.unwrap();
}

/// Control: a `poll_plaintext` that takes the end of the socket for the end.
#[test]
fn truncation_is_an_error() {
    block_on(async {
        let (mut client, mut server) = secure_pair().await;
        server.write_all(b"half of").await.unwrap();
        drop(server);
        let mut all = Vec::new();
        let error = client.read_to_end(&mut all).await.unwrap_err();
        assert_eq!(
            (error.kind(), &all[..]),
            (ErrorKind::UnexpectedEof, &b"half of"[..])
        );
        assert!(cause::<()>(Err(error)).is_truncated());
        assert_eq!(
            client.recv().await.unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    });
}

#[test]
fn an_orderly_end_is_none() {
    block_on(async {
        let (mut client, mut server) = secure_pair().await;
        server.write_all(b"all").await.unwrap();
        server.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
        let error = server.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"all");
        assert!(client.recv().await.unwrap().is_none());
        // The other direction is still open.
        answer(&mut client, &mut server).await;
    });
}

async fn answer(client: &mut TlsStream<TcpStream>, server: &mut TlsStream<TcpStream>) {
    client.write_all(b"thanks").await.unwrap();
    client.shutdown().await.unwrap();
    let mut all = String::new();
    server.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "thanks");
}
