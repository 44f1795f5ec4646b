//! What comes on a connection that nobody uses.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_net::tls::Version;
use heist_runtime::Builder;

use crate::certificates::Authority;
use crate::server::*;

/// Two requests, and in between the server does this to its connection. Returns how many connections it took, which
/// are as many when the client's tasks ran meanwhile, so that it has watched, and when it looks only before it
/// uses the connection again.
fn connections(
    version: Version,
    idle: impl Fn(&mut Peer) + Clone + Send + Sync + 'static,
) -> usize {
    let watched = connections_if(true, version, idle.clone());
    assert_eq!(connections_if(false, version, idle), watched);
    watched
}

fn connections_if(
    watches: bool,
    version: Version,
    idle: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> usize {
    let authority = Authority::new();
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let server = Server::new(&authority, move |peer| {
        while peer.request().is_some() {
            peer.send(&ok("hello"));
            if !flag.load(Ordering::SeqCst) {
                // After the client has put it into its pool.
                std::thread::sleep(millis(50));
                idle(peer);
                flag.store(true, Ordering::SeqCst);
            }
        }
    });
    let client = trusting(&authority)
        .max_tls_version(version)
        .build()
        .unwrap();
    let url = server.url("/");
    let test = async move {
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        while !done.load(Ordering::SeqCst) {
            pause(watches, 5).await;
        }
        pause(watches, 20).await;
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
    };
    // What blocks the only worker keeps the client's task from watching.
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(async { heist_runtime::spawn(test).await.unwrap() });
    server.connections()
}

async fn pause(lets_others_run: bool, time: u64) {
    match lets_others_run {
        true => heist_sync::time::sleep(millis(time)).await,
        false => std::thread::sleep(millis(time)),
    }
}

#[test]
fn nothing() {
    assert_eq!(connections(Version::TLS_1_2, |_| {}), 1);
    assert_eq!(connections(Version::TLS_1_3, |_| {}), 1);
}

/// What TLS 1.3 says to itself, such as new keys and tickets, is nothing that was said.
///
/// Control: a `poll_is_quiet` that only asks the socket.
#[test]
fn messages_of_the_protocol() {
    let used = connections(Version::TLS_1_3, |peer| {
        for _ in 0..3 {
            peer.stream.conn.refresh_traffic_keys().unwrap();
            peer.stream.flush().unwrap();
        }
    });
    assert_eq!(used, 1);
}

/// Control: a `poll_is_quiet` that reads and does not look.
#[test]
fn bytes_ends_and_errors() {
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let bytes = |peer: &mut Peer| peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
        assert_eq!(connections(version, bytes), 2, "{version:?}");
        assert_eq!(connections(version, Peer::end), 2, "{version:?}");
        let cut = |peer: &mut Peer| {
            peer.stream
                .sock
                .shutdown(std::net::Shutdown::Write)
                .unwrap()
        };
        assert_eq!(connections(version, cut), 2, "{version:?}");
        let garbage = |peer: &mut Peer| peer.stream.sock.write_all(&[23, 3, 3, 0, 20]).unwrap();
        let more = move |peer: &mut Peer| {
            garbage(peer);
            peer.stream.sock.write_all(&[7; 20]).unwrap();
        };
        assert_eq!(connections(version, more), 2, "{version:?}");
    }
}
