//! From a name to what is asked for: files, special names, search domains.

use std::path::PathBuf;

use heist_runtime::block_on;

use crate::dns_server::{Answer, Server};
use crate::{asking, millis, texts};
use heist_net::TcpListener;
use heist_net::dns::HickoryResolver;
use heist_net::http::Client;

/// Knows one name.
fn knowing(known: &'static str) -> Server {
    Server::answering(move |query| match query.name == known {
        true => Answer::new().address(known, 60, "192.0.2.1"),
        false => Answer::nxdomain().soa("example", 60, 60),
    })
}

/// A file of this test alone, gone at its end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("heist-dns-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn names_are_searched_by_their_dots() {
    block_on(async {
        let none = [].as_slice();
        for (name, ndots, asked) in [
            ("db", 1, ["db.one.test", "db.two.test", "db"].as_slice()),
            ("db.x", 1, &["db.x", "db.x.one.test", "db.x.two.test"]),
            ("db.x", 2, &["db.x.one.test", "db.x.two.test", "db.x"]),
            ("db.", 1, &["db"]),
            ("db", 0, &["db", "db.one.test", "db.two.test"]),
            ("db.localhost", 1, none),
            ("db.invalid", 1, none),
        ] {
            let server = knowing("nothing");
            let resolver = asking([&server])
                .search(["one.test", "two.test."])
                .ndots(ndots);
            let outcome = resolver.build().unwrap().lookup_ip(name).await;
            assert_eq!(server.names(), asked, "{name}");
            assert_eq!(outcome.is_ok(), name == "db.localhost", "{name}");
        }
        let server = knowing("db.two.test");
        let resolver = asking([&server]).search(["one.test", "two.test", "three.test"]);
        let resolver = resolver.build().unwrap();
        for _ in 0..2 {
            assert_eq!(texts(resolver.lookup_ip("db").await), ["192.0.2.1"]);
        }
        assert_eq!(server.names(), ["db.one.test", "db.two.test"]);
    });
}

/// One family in the first domain and the other in the second are not the addresses of one host.
#[test]
fn families_are_not_mixed_across_search_domains() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "db.one.test" => Answer::new().address("db.one.test", 60, "2001:db8::1"),
            _ => Answer::new().address(&query.name, 60, "192.0.2.1"),
        });
        let resolver = asking([&server]).search(["one.test", "two.test"]);
        let resolver = resolver.build().unwrap();
        assert_eq!(texts(resolver.lookup_ip("db").await), ["2001:db8::1"]);
        assert_eq!(server.names(), ["db.one.test"]);
    });
}

#[test]
fn a_failure_on_the_way_is_not_an_nxdomain() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "db.one.test" => Answer::servfail(),
            _ => Answer::nxdomain(),
        });
        let resolver = asking([&server]).search(["one.test", "two.test"]);
        let error = resolver.build().unwrap().lookup_ip("db").await.unwrap_err();
        assert!(error.is_server_failure(), "{error}");
        assert_eq!(server.names(), ["db.one.test", "db.two.test", "db"]);
        // Servers that do not answer are not asked for the next one either.
        let server = Server::silent();
        let resolver = asking([&server]).search(["one.test", "two.test"]);
        let resolver = resolver.timeout(millis(50)).attempts(1).build().unwrap();
        assert!(resolver.lookup_ip("db").await.unwrap_err().is_timeout());
        assert_eq!(server.names(), ["db.one.test"]);
    });
}

#[test]
fn the_file_of_hosts_is_asked_first() {
    block_on(async {
        let file = File::new("hosts", "192.0.2.7 db db.example # here\n2001:db8::7 db\n");
        let server = knowing("db.example");
        let resolver = asking([&server])
            .hosts_file(file.0.clone())
            .build()
            .unwrap();
        assert_eq!(
            texts(resolver.lookup_ip("DB").await),
            ["2001:db8::7", "192.0.2.7"]
        );
        assert_eq!(
            texts(resolver.lookup_ip("db.example.").await),
            ["192.0.2.7"]
        );
        assert!(server.asked().is_empty());
        let without = asking([&server]).build().unwrap();
        assert_eq!(texts(without.lookup_ip("db.example").await), ["192.0.2.1"]);
        let absent = asking([&server]).hosts_file(PathBuf::from("/nowhere/hosts"));
        assert!(absent.build().is_ok());
    });
}

#[test]
fn special_names_and_addresses_are_not_asked_for() {
    block_on(async {
        let server = knowing("nothing");
        let resolver = asking([&server]).search(["one.test"]).build().unwrap();
        assert_eq!(
            texts(resolver.lookup_ip("localhost").await),
            ["::1", "127.0.0.1"]
        );
        assert_eq!(texts(resolver.lookup_ip("192.0.2.9").await), ["192.0.2.9"]);
        assert_eq!(
            texts(resolver.lookup_ip("2001:db8::9").await),
            ["2001:db8::9"]
        );
        for name in ["a.invalid", "abcdef.onion", "a.onion."] {
            let error = resolver.lookup_ip(name).await.unwrap_err();
            assert!(error.is_no_such_name(), "{name}: {error}");
        }
        let long = "a".repeat(64);
        for name in ["", "a b", "a\0b", "a..b", &*long] {
            assert!(
                resolver
                    .lookup_ip(name)
                    .await
                    .unwrap_err()
                    .is_invalid_name(),
                "{name}"
            );
        }
        assert!(server.asked().is_empty());
    });
}

/// The settings of this machine, which may have none; `localhost` needs no server.
#[test]
fn a_client_may_have_the_resolver_of_the_system_s_settings() {
    block_on(async {
        let client = Client::builder().hickory_dns(true).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = client.get(format!("http://localhost:{port}/"));
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.recv().await.unwrap();
            let response = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(response).await.unwrap();
        };
        let (response, ()) = heist_sync::join!(request.send(), serve);
        assert_eq!(response.unwrap().status(), 204);
    });
}

#[test]
fn the_settings_of_the_system_are_read() {
    let conf = File::new("resolv.conf", "nameserver 127.0.0.1\nsearch one.test\n");
    let builder = HickoryResolver::builder().resolv_conf(conf.0.clone());
    assert!(builder.build().is_ok());
    let builder = HickoryResolver::builder().resolv_conf("/nowhere/resolv.conf");
    assert!(builder.build().is_ok());
}
