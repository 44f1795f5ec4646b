//! Limits: exact, and fair to those who wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use heist_net::http::Client;
use heist_runtime::block_on;

use crate::server::*;

#[test]
fn the_size_of_a_body_is_limited() {
    let client = Client::builder()
        .max_response_size(5)
        .timeout(millis(5000))
        .build()
        .unwrap();
    let chunk = "1\r\nx\r\n";
    let chunked = |count| {
        let chunks = chunk.repeat(count);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let until_close = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    for good in [ok("xxxxx"), chunked(5), until_close("xxxxx")] {
        let server = Server::closing_after(good);
        assert_eq!(block_on(get(&client, &server.url("/"))).unwrap(), "xxxxx");
    }
    for bad in [ok("xxxxxx"), chunked(6), until_close("xxxxxx")] {
        let server = Server::closing_after(bad);
        let error = block_on(get(&client, &server.url("/"))).unwrap_err();
        assert!(error.is_limit() && !error.is_decode(), "{error}");
        assert!(error.to_string().contains("max_response_size"), "{error}");
    }
}

#[test]
fn heads_are_limited() {
    let lines = "a: b\r\n".repeat(101);
    let long = format!("a: {}\r\n", "b".repeat(70_000));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17);
    for response in [
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n"),
        format!("HTTP/1.1 200 OK\r\n{long}\r\n"),
        format!("{hints}{}", ok("")),
    ] {
        let server = Server::closing_after(response);
        let error = get_once(&server.url("/")).unwrap_err();
        assert!(error.is_limit() && error.is_request(), "{error}");
    }
    let small = Client::builder()
        .max_head_size(30)
        .max_headers(1)
        .build()
        .unwrap();
    let server = Server::answering(ok(""));
    assert!(
        block_on(get(&small, &server.url("/")))
            .unwrap_err()
            .is_limit()
    );
}

#[test]
fn connections_per_host_are_limited_and_fairly_shared() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (open, peak) = (now.clone(), most.clone());
    let server = Server::new(move |peer| {
        while peer.request().is_some() {
            let count = open.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(count, Ordering::SeqCst);
            std::thread::sleep(millis(5));
            open.fetch_sub(1, Ordering::SeqCst);
            peer.send(&ok("hello"));
        }
    });
    let limited = |limit| {
        let builder = Client::builder().max_connections_per_host(limit);
        builder.timeout(millis(10_000)).build().unwrap()
    };
    let order = Mutex::new(Vec::new());
    let run = |client: Client| {
        let (order, server) = (&order, &server);
        block_on(join((0..20).map(move |number| {
            let client = client.clone();
            async move {
                let url = server.url(&format!("/{number}"));
                assert_eq!(get(&client, &url).await.unwrap(), "hello");
                order.lock().unwrap().push(number);
            }
        })));
    };
    run(limited(3));
    assert_eq!((server.connections(), most.load(Ordering::SeqCst)), (3, 3));
    order.lock().unwrap().clear();
    run(limited(1));
    assert_eq!(server.connections(), 4);
    assert_eq!(
        *order.lock().unwrap(),
        Vec::from_iter(0..20),
        "not first come, first served"
    );
}

#[test]
fn waiting_for_a_connection_times_out_and_leaves_the_queue() {
    let server = Server::new(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
            std::thread::sleep(millis(300));
            peer.send("0\r\n\r\n");
        }
    });
    let client = Client::builder()
        .max_connections_per_host(1)
        .build()
        .unwrap();
    block_on(async {
        let held = client.get(server.url("/")).send().await.unwrap();
        let impatient = client.get(server.url("/")).timeout(millis(50)).send();
        let error = impatient.await.unwrap_err();
        assert!(
            error.is_timeout() && error.is_request() && !error.is_connect(),
            "{error}"
        );
        assert!(
            error.to_string().contains("max_connections_per_host"),
            "{error}"
        );
        // A waiter that is dropped while it waits does not swallow the connection either.
        assert!(
            within(millis(20), get(&client, &server.url("/")))
                .await
                .is_none()
        );
        assert_eq!(held.text().await.unwrap(), "x");
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "x");
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn private_addresses_can_be_blocked() {
    let server = Server::answering(ok("secret"));
    let client = Client::builder()
        .block_private_addresses(true)
        .build()
        .unwrap();
    let port = server.address().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "0",
        "localhost.",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        let error = block_on(get(&client, &format!("http://{host}:{port}/"))).unwrap_err();
        assert!(error.is_connect() && !error.is_resolve(), "{host}: {error}");
        assert!(
            error.to_string().contains("block_private_addresses"),
            "{host}: {error}"
        );
    }
    assert_eq!(server.connections(), 0);
}

/// Every hop is looked at. The first one goes through a proxy, which is allowed to be anywhere, and redirects to the server.
///
/// Control: a guard that looks at the first URL only.
#[test]
fn a_redirect_does_not_lead_to_private_addresses() {
    let inside = Server::answering(ok("secret"));
    let port = inside.address().port();
    for host in [
        "127.0.0.1",
        "169.254.169.254",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0",
    ] {
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{host}:{port}/\r\nContent-Length: 0\r\n\r\n"
        );
        let proxy = Server::answering(answer);
        let client = Client::builder()
            .block_private_addresses(true)
            .proxy(heist_net::http::Proxy::all(proxy.url("/")).unwrap())
            .build()
            .unwrap();
        let error = block_on(get(&client, "http://outside.test/")).unwrap_err();
        assert!(error.is_connect(), "{host}: {error}");
        assert!(
            error.to_string().contains("block_private_addresses"),
            "{host}: {error}"
        );
        assert_eq!(proxy.requests().len(), 1, "{host}");
    }
    assert_eq!(inside.connections(), 0);
}

/// A name that leads to the inside, at the first look-up or a later one: what was looked up is what is checked and connected
/// to, and nothing is looked up again in between.
#[test]
fn a_name_that_changes_does_not_lead_to_private_addresses() {
    use heist_net::dns::{Addrs, Name, Resolve, Resolving};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Rebinding(Arc<AtomicUsize>, [&'static str; 2]);

    impl Resolve for Rebinding {
        fn resolve(&self, _name: Name) -> Resolving {
            self.0.fetch_add(1, Ordering::SeqCst);
            let addresses: Vec<std::net::SocketAddr> = (self.1.iter())
                .map(|address| std::net::SocketAddr::new(address.parse().unwrap(), 0))
                .collect();
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    let inside = Server::answering(ok("secret"));
    for addresses in [
        ["127.0.0.1", "::1"],
        ["::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let client = Client::builder()
            .block_private_addresses(true)
            .dns_resolver(Arc::new(Rebinding(asked.clone(), addresses)))
            .build()
            .unwrap();
        let url = format!("http://rebinding.test:{}/", inside.address().port());
        for lookups in 1..=3 {
            let error = block_on(get(&client, &url)).unwrap_err();
            assert!(
                error.to_string().contains("block_private_addresses"),
                "{error}"
            );
            assert_eq!(asked.load(Ordering::SeqCst), lookups);
        }
    }
    assert_eq!(inside.connections(), 0);
}
