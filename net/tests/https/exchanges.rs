//! Requests and responses.

use std::io::Read;
use std::process::{Command, Stdio};

use heist_net::tls::Version;
use heist_runtime::block_on;
use rustls::HandshakeKind;

use crate::certificates::Authority;
use crate::server::*;

#[test]
fn a_connection_is_used_again() {
    let authority = Authority::new();
    let server = Server::answering(&authority, ok("hello"));
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let before = server.connections();
        let client = trusting(&authority)
            .max_tls_version(version)
            .build()
            .unwrap();
        block_on(async {
            for _ in 0..5 {
                assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
            }
            let response = client.get(server.url("/x")).send().await.unwrap();
            assert_eq!(response.remote_addr(), Some(server.address));
        });
        assert_eq!(server.connections(), before + 1, "{version:?}");
    }
    let host = format!("host: localhost:{}\r\n", server.address.port());
    assert!(server.requests()[0].contains(&host));
}

#[test]
fn by_address_and_by_name() {
    let authority = Authority::new();
    let server = Server::answering(&authority, ok("hello"));
    let port = server.address.port();
    let client = trusting(&authority).build().unwrap();
    block_on(async {
        for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
            let text = get(&client, &format!("https://{host}:{port}/")).await;
            assert_eq!(text.unwrap(), "hello");
        }
    });
}

#[test]
fn large_bodies_both_ways() {
    let authority = Authority::new();
    let server = Server::new(&authority, |peer| {
        while peer.request().is_some() {
            let mut body = vec![0; 3 << 20];
            if peer.stream.read_exact(&mut body).is_err() {
                return;
            }
            body.reverse();
            peer.send(&ok(&String::from_utf8(body).unwrap()));
        }
    });
    let client = trusting(&authority).build().unwrap();
    let sent: String = (0..3 << 20)
        .map(|i: u32| char::from(b'a' + (i % 23) as u8))
        .collect();
    block_on(async {
        for _ in 0..2 {
            let response = client.post(server.url("/")).body(sent.clone()).send().await;
            let text = response.unwrap().text().await.unwrap();
            assert!(text.bytes().rev().eq(sent.bytes()));
        }
    });
    assert_eq!(server.connections(), 1);
}

/// The protocol that was agreed on is one that the client speaks, although the server would rather speak another.
#[test]
fn http_1_is_agreed_on() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let mut config = config(&issued, None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Server::with(config, |peer| {
        while peer.request().is_some() {
            let protocol = peer.stream.conn.alpn_protocol().map(<[u8]>::to_vec);
            peer.send(&ok(
                &String::from_utf8(protocol.unwrap_or_default()).unwrap()
            ));
        }
    });
    let builder = trusting(&authority);
    #[cfg(feature = "http2")]
    let builder = builder.http1_only();
    let client = builder.build().unwrap();
    let text = block_on(get(&client, &server.url("/"))).unwrap();
    assert_eq!(text, "http/1.1");
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let server = Server::new(&authority, |peer| {
        while peer.request().is_some() {
            let kind = peer.stream.conn.handshake_kind();
            peer.send(&ok(&(kind == Some(HandshakeKind::Resumed)).to_string()));
        }
    });
    let builder = trusting(&authority).pool_max_idle(0);
    let client = builder.build().unwrap();
    block_on(async {
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "false");
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "true");
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_client_shows_who_it_is() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let issued = authority.issue(&["localhost"]);
    let server = Server::with(config(&issued, Some(&clients)), |peer| {
        while peer.request().is_some() {
            peer.send(&ok("hello"));
        }
    });
    let identity = clients.issue(&["me"]).identity();
    let client = trusting(&authority).identity(identity).build().unwrap();
    assert_eq!(block_on(get(&client, &server.url("/"))).unwrap(), "hello");
    let nobody = trusting(&authority).build().unwrap();
    let error = block_on(get(&nobody, &server.url("/"))).unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error}");
    assert!(error.to_string().contains("`identity`"), "{error}");
}

/// Control: a `poll_plaintext` that takes the end of the socket for the end.
#[test]
fn a_body_that_ends_with_its_connection_ends_properly() {
    let authority = Authority::new();
    let server = Server::new(&authority, |peer| {
        if let Some(head) = peer.request() {
            peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
            if head.starts_with("GET /whole") {
                peer.end();
            }
        }
    });
    let client = trusting(&authority).build().unwrap();
    block_on(async {
        let whole = get(&client, &server.url("/whole")).await;
        assert_eq!(whole.unwrap(), "hello");
        let error = get(&client, &server.url("/cut")).await.unwrap_err();
        assert!(error.is_body(), "{error}");
        assert!(error.to_string().contains("close_notify"), "{error}");
    });
}

#[cfg(feature = "dangerous")]
#[test]
fn checks_can_be_left_out() {
    let server = Server::answering(&Authority::new(), ok("hello"));
    let lax = heist_net::http::Client::builder()
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    assert_eq!(block_on(get(&lax, &server.url("/"))).unwrap(), "hello");
}

/// OpenSSL's server has a page about the connection.
#[test]
fn openssl_serves_a_page() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no `openssl` program");
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let folder = std::env::temp_dir().join(format!("heist-https-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("chain"), &issued.chain).unwrap();
    std::fs::write(folder.join("key"), &issued.key).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let accept = format!("127.0.0.1:{port}");
    let mut server = Command::new("openssl")
        .args([
            "s_server", "-www", "-cert", "chain", "-key", "key", "-accept", &accept,
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut stdout = server.stdout.take().unwrap();
    while !told.contains("ACCEPT") {
        let mut some = [0; 100];
        let count = stdout.read(&mut some).unwrap();
        assert!(count > 0, "openssl did not start");
        told.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    let client = trusting(&authority).build().unwrap();
    let text = block_on(get(&client, &format!("https://localhost:{port}/")));
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_dir_all(&folder);
    assert!(text.unwrap().contains("TLSv1.3"));
}
