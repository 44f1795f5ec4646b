//! What the two ends agree on: version, protocol, and to know each other again.

use heist_net::io::{AsyncReadExt, AsyncWriteExt};
use heist_net::tls::{TlsAcceptor, TlsAcceptorBuilder, TlsConnector, TlsConnectorBuilder, Version};
use heist_runtime::block_on;

use crate::certificates::Authority;
use crate::ends::*;

fn builders() -> (TlsConnectorBuilder, TlsAcceptorBuilder) {
    let authority = Authority::new();
    let identity = authority.issue(&["a.test"]).identity();
    (trusting(&authority), TlsAcceptor::builder(identity))
}

#[test]
fn a_protocol_by_alpn() {
    let (connector, acceptor) = builders();
    let agree = |client: &[&str], server: &[&str]| {
        let connector = connector
            .clone()
            .alpn_protocols(client.iter().copied())
            .build();
        let acceptor = acceptor
            .clone()
            .alpn_protocols(server.iter().copied())
            .build();
        block_on(shake_tcp(&connector.unwrap(), &acceptor.unwrap(), "a.test"))
    };
    for (client, server, expected) in [
        (&["h2", "http/1.1"][..], &["http/1.1"][..], Some("http/1.1")),
        (&["http/1.1", "h2"], &["h2", "http/1.1"], Some("h2")),
        (&["h2"], &[], None),
        (&[], &["h2"], None),
        (&[], &[], None),
    ] {
        let (one, other) = agree(client, server);
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.alpn_protocol(), expected.map(str::as_bytes));
        assert_eq!(other.alpn_protocol(), expected.map(str::as_bytes));
    }
    let (one, other) = agree(&["h2"], &["http/1.1"]);
    assert!(cause(one).is_refused_by_peer());
    assert!(cause(other).to_string().contains("ALPN"));
}

#[test]
fn a_version() {
    let (connector, acceptor) = builders();
    let agree = |least, most| {
        let connector = connector.clone().min_version(least).build();
        let acceptor = acceptor.clone().max_version(most).build();
        block_on(shake_tcp(&connector.unwrap(), &acceptor.unwrap(), "a.test"))
    };
    let (client, _) = agree(Version::TLS_1_2, Version::TLS_1_2);
    assert_eq!(client.unwrap().protocol_version(), Version::TLS_1_2);
    let (client, server) = agree(Version::TLS_1_2, Version::TLS_1_3);
    assert_eq!(client.unwrap().protocol_version(), Version::TLS_1_3);
    assert_eq!(server.unwrap().protocol_version(), Version::TLS_1_3);
    let (client, server) = agree(Version::TLS_1_3, Version::TLS_1_2);
    assert!(cause(client).to_string().contains("in common"));
    assert!(cause(server).to_string().contains("in common"));
}

/// Whether the second of two connections knew the first.
fn second_is_resumed(connector: &TlsConnector, acceptor: &TlsAcceptor) -> bool {
    let mut resumed = Vec::new();
    for _ in 0..2 {
        block_on(async {
            let (client, server) = shake_tcp(connector, acceptor, "a.test").await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            // The ticket of TLS 1.3 comes behind the handshake, before the first bytes.
            server.write_all(b"x").await.unwrap();
            assert_eq!(client.recv().await.unwrap().as_deref(), Some(&b"x"[..]));
            assert_eq!(client.is_resumed(), server.is_resumed());
            assert_eq!(client.peer_certificates().len(), 1);
            resumed.push(client.is_resumed());
        });
    }
    assert!(!resumed[0]);
    resumed[1]
}

/// Control: a builder that makes a new store of sessions for every connection.
#[test]
fn a_session_is_resumed() {
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let (connector, acceptor) = builders();
        let connector = connector.max_version(version);
        let resumed = |servers, sessions, tickets| {
            let connector = connector.clone().resumption(servers).build().unwrap();
            let acceptor = acceptor.clone().resumption(sessions).tickets(tickets);
            second_is_resumed(&connector, &acceptor.build().unwrap())
        };
        assert!(resumed(256, 256, true), "{version:?}");
        assert!(resumed(256, 0, true), "{version:?} by tickets");
        assert!(
            resumed(256, 256, false),
            "{version:?} by the server's memory"
        );
        assert!(
            !resumed(256, 0, false),
            "{version:?}: the server has no memory"
        );
        assert!(
            !resumed(0, 256, true),
            "{version:?}: the client has no memory"
        );
    }
}
