//! Whose certificates are taken, and what is said of the others.

use heist_net::io::{AsyncReadExt, AsyncWriteExt};
use heist_net::tls::{Certificate, Error, Identity, TlsAcceptor, TlsConnector, Version};
use heist_runtime::block_on;

use crate::certificates::{Authority, Issued};
use crate::ends::*;

/// What the client makes of the certificate, and the server of the client.
fn meet(connector: &TlsConnector, issued: &Issued, name: &str) -> (Error, Error) {
    let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
    let (client, server) = block_on(shake_tcp(connector, &acceptor, name));
    (cause(client), cause(server))
}

#[test]
fn a_good_chain_is_taken() {
    let authority = Authority::new();
    let issued = authority.intermediate().intermediate();
    let issued = issued.issue(&["a.test", "*.b.test", "127.0.0.1", "::1"]);
    let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let connector = trusting(&authority).max_version(version).build().unwrap();
        for name in ["a.test", "A.Test", "x.b.test", "127.0.0.1", "::1"] {
            block_on(async {
                let (client, server) = shake_tcp(&connector, &acceptor, name).await;
                let (mut client, mut server) = (client.unwrap(), server.unwrap());
                assert_eq!(client.protocol_version(), version);
                assert_eq!(client.peer_certificates().len(), 3);
                assert_eq!(client.peer_certificates()[0], issued.certificate());
                assert!(server.peer_certificates().is_empty());
                // An address is no name that can be asked for.
                let asked = server.server_name().map(str::to_owned);
                let lower = name.to_ascii_lowercase();
                assert_eq!(asked, lower.contains("test").then_some(lower));
                server.write_all(b"hello").await.unwrap();
                let mut five = [0; 5];
                client.read_exact(&mut five).await.unwrap();
                assert_eq!(&five, b"hello");
            });
        }
    }
}

/// Control: a connector whose verifier takes everything.
#[test]
fn bad_certificates_are_refused_and_the_reason_is_told() {
    let authority = Authority::new();
    let connector = trusting(&authority).build().unwrap();

    let (client, server) = meet(
        &connector,
        &authority.issue_between(&["a.test"], 2001, 2020),
        "a.test",
    );
    assert!(client.is_expired() && client.is_certificate(), "{client}");
    assert!(client.to_string().contains(" days ago; "), "{client}");
    assert!(server.is_refused_by_peer(), "{server}");

    let (client, _) = meet(
        &connector,
        &authority.issue_between(&["a.test"], 2070, 2080),
        "a.test",
    );
    assert!(
        client.is_not_yet_valid() && client.is_certificate(),
        "{client}"
    );

    let (client, server) = meet(&connector, &authority.issue(&["b.test"]), "a.test");
    assert!(
        client.is_wrong_name() && client.is_certificate(),
        "{client}"
    );
    assert!(client.to_string().contains("b.test"), "{client}");
    assert!(client.to_string().contains("a.test"), "{client}");
    assert!(server.is_refused_by_peer(), "{server}");

    // A wildcard stands for one label.
    let (client, _) = meet(&connector, &authority.issue(&["*.test"]), "b.a.test");
    assert!(client.is_wrong_name(), "{client}");

    let (client, server) = meet(&connector, &Authority::new().issue(&["a.test"]), "a.test");
    assert!(
        client.is_unknown_issuer() && client.is_certificate(),
        "{client}"
    );
    assert!(client.to_string().contains("root certificate"), "{client}");
    assert!(server.is_refused_by_peer(), "{server}");

    let (client, _) = meet(&connector, &Issued::self_signed(&["a.test"]), "a.test");
    assert!(client.is_unknown_issuer(), "{client}");

    let careless = authority.intermediate().without_chain();
    let (client, _) = meet(&connector, &careless.issue(&["a.test"]), "a.test");
    assert!(client.is_unknown_issuer(), "{client}");
    assert!(client.to_string().contains("left out"), "{client}");

    // The roots that are built in do not vouch for it either.
    let (client, _) = meet(
        &TlsConnector::new().unwrap(),
        &authority.issue(&["a.test"]),
        "a.test",
    );
    assert!(client.is_unknown_issuer(), "{client}");
}

#[test]
fn a_self_signed_certificate_can_be_trusted_by_itself() {
    let issued = Issued::self_signed(&["a.test"]);
    let connector = TlsConnector::builder().add_root_certificate(issued.certificate());
    let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
    let (client, server) = block_on(shake_tcp(&connector.build().unwrap(), &acceptor, "a.test"));
    client.unwrap();
    server.unwrap();
}

#[test]
fn a_client_can_be_asked_who_it_is() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let identity = authority.issue(&["a.test"]).identity();
    let asking = TlsAcceptor::builder(identity).add_client_root_certificate(clients.root());
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let asking = asking.clone().max_version(version);
        let required = asking.clone().build().unwrap();
        let optional = asking.client_certificate_required(false).build().unwrap();
        let nobody = trusting(&authority).build().unwrap();
        let known = clients.issue(&["me"]);
        let somebody = trusting(&authority)
            .identity(known.identity())
            .build()
            .unwrap();
        let stranger = Authority::new().issue(&["me"]).identity();
        let stranger = trusting(&authority).identity(stranger).build().unwrap();
        block_on(async {
            let (client, server) = shake_tcp(&somebody, &required, "a.test").await;
            client.unwrap();
            assert_eq!(server.unwrap().peer_certificates(), [known.certificate()]);

            let (client, server) = shake_tcp(&nobody, &optional, "a.test").await;
            client.unwrap();
            assert!(server.unwrap().peer_certificates().is_empty());

            let (client, server) = shake_tcp(&nobody, &required, "a.test").await;
            assert!(cause(server).is_client_certificate_missing());
            if version == Version::TLS_1_3 {
                // The client has been done before the server has seen what is missing.
                let error = cause(client.unwrap().recv().await);
                assert!(error.is_client_certificate_missing(), "{error}");
                assert!(error.is_refused_by_peer() && error.to_string().contains("identity"));
            } else {
                assert!(cause(client).is_refused_by_peer());
            }

            let (client, server) = shake_tcp(&stranger, &required, "a.test").await;
            assert!(cause(server).is_unknown_issuer());
            let refused = match client {
                Ok(mut client) => client.recv().await.map(drop),
                Err(error) => Err(error),
            };
            assert!(cause(refused).is_refused_by_peer());
        });
    }
}

#[test]
fn settings_that_are_of_no_use_are_refused() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let mixed = Identity::from_pem_parts(one.chain.as_bytes(), other.key.as_bytes()).unwrap();
    let error = TlsAcceptor::new(mixed.clone()).unwrap_err();
    assert!(error.is_builder(), "{error}");
    let error = trusting(&authority).identity(mixed).build().unwrap_err();
    assert!(error.is_builder(), "{error}");
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        assert!(
            Certificate::from_pem(pem.as_bytes())
                .unwrap_err()
                .is_builder()
        );
        assert!(Identity::from_pem(pem.as_bytes()).unwrap_err().is_builder());
    }
    assert!(
        Identity::from_pem(one.chain.as_bytes())
            .unwrap_err()
            .is_builder(),
        "it has no key"
    );
    assert!(Certificate::from_der(b"\x30\x03abc").is_err());
    let together = format!("{}{}", one.key, one.chain);
    Identity::from_pem(together.as_bytes()).unwrap();
    let builder = trusting(&authority).min_version(Version::TLS_1_3);
    let error = builder.max_version(Version::TLS_1_2).build().unwrap_err();
    assert!(error.is_builder(), "{error}");
    let connector = trusting(&authority).build().unwrap();
    let acceptor = TlsAcceptor::new(one.identity()).unwrap();
    let (client, _) = block_on(shake_tcp(&connector, &acceptor, "not a name"));
    assert!(cause(client).is_builder());
}

#[cfg(feature = "dangerous")]
#[test]
fn checks_are_left_out_on_request_only() {
    let authority = Authority::new();
    let try_one = |connector: &TlsConnector, issued: &Issued| {
        let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
        block_on(shake_tcp(connector, &acceptor, "a.test"))
            .0
            .is_ok()
    };
    let self_signed = Issued::self_signed(&["a.test"]);
    let other_name = authority.issue(&["b.test"]);
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let usual = trusting(&authority).max_version(version);
        let build = |certificates, names| {
            let builder = usual.clone().danger_accept_invalid_certs(certificates);
            builder
                .danger_accept_invalid_hostnames(names)
                .build()
                .unwrap()
        };
        let (strict, lax) = (build(false, false), build(true, false));
        assert!(!try_one(&strict, &self_signed) && !try_one(&strict, &other_name));
        assert!(try_one(&lax, &self_signed) && try_one(&lax, &other_name));
        let nameless = build(false, true);
        assert!(!try_one(&nameless, &self_signed) && try_one(&nameless, &other_name));
    }
}

/// With no roots at all a connector can be built, and says what it misses.
#[test]
fn without_roots_nobody_is_trusted() {
    let connector = TlsConnector::builder()
        .built_in_root_certs(false)
        .build()
        .unwrap();
    let (client, _) = meet(&connector, &Authority::new().issue(&["a.test"]), "a.test");
    assert!(client.is_unknown_issuer(), "{client}");
}
