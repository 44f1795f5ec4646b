//! Proxies: what they are asked, what is pooled, and what is said when they fail.

use std::io::Write;
use std::net::TcpListener;

use heist_net::http::{Client, Error, NoProxy, Proxy};
use heist_runtime::block_on;

use crate::refusing::refusing;
use crate::server::*;
use crate::socks::{Socks, Version};

fn through(proxy: Proxy) -> Client {
    let builder = Client::builder().timeout(millis(5000));
    builder.proxy(proxy).build().unwrap()
}

fn url_of(server: &Server) -> String {
    server.url("").replace("http://", "http://me:secret@")
}

#[test]
fn an_http_proxy_gets_plain_requests_whole() {
    let proxy = Server::answering(ok("from the proxy"));
    let client = through(Proxy::http(url_of(&proxy)).unwrap());
    block_on(async {
        for url in [
            "http://a.invalid/x?y=z#f",
            "http://b.invalid:8080",
            "http://a.invalid/2",
        ] {
            let response = client.get(url).send().await.unwrap();
            assert_eq!(response.remote_addr(), Some(proxy.address()));
            assert_eq!(response.text().await.unwrap(), "from the proxy");
        }
    });
    let requests = proxy.requests();
    let auth = "proxy-authorization: Basic bWU6c2VjcmV0\r\n";
    for (request, start) in requests.iter().zip([
        "GET http://a.invalid/x?y=z HTTP/1.1\r\nhost: a.invalid\r\n",
        "GET http://b.invalid:8080/ HTTP/1.1\r\nhost: b.invalid:8080\r\n",
        "GET http://a.invalid/2 HTTP/1.1\r\n",
    ]) {
        assert!(
            request.starts_with(start) && request.contains(auth),
            "{request}"
        );
        assert!(request.contains("user-agent: heist/"), "{request}");
    }
    // A connection each for the two hosts, and the third request used the first one again.
    assert_eq!((requests.len(), proxy.connections()), (3, 2));
}

#[test]
fn a_server_never_sees_what_is_for_the_proxy() {
    let server = Server::answering(ok("direct"));
    let away = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        server.url("/")
    );
    let proxy = Server::answering(away);
    let direct = NoProxy::from_string("127.0.0.0/8");
    let client = through(Proxy::all(url_of(&proxy)).unwrap().no_proxy(direct));
    let text = block_on(get(&client, "http://a.invalid/")).unwrap();
    assert_eq!(text, "direct");
    let request = &server.requests()[0];
    assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("proxy-authorization"), "{request}");
}

#[test]
fn a_407_to_a_plain_request_is_a_response() {
    let proxy = Server::answering("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno");
    let client = through(Proxy::all(proxy.url("")).unwrap());
    block_on(async {
        let response = client.get("http://a.invalid/").send().await.unwrap();
        assert_eq!(response.status(), 407);
        assert_eq!(response.text().await.unwrap(), "no");
    });
}

#[test]
fn users_of_a_proxy_share_no_connection() {
    let proxy = Server::answering(ok("x"));
    let address = proxy.address();
    let client = through(Proxy::custom(move |url| {
        let user = url.path().trim_matches('/');
        Some(format!("http://{user}:pw@{address}"))
    }));
    block_on(async {
        for path in ["a", "b", "a", "b"] {
            get(&client, &format!("http://h.invalid/{path}"))
                .await
                .unwrap();
        }
    });
    assert_eq!(proxy.connections(), 2);
}

fn assert_names(error: &Error, proxy: &str, remedy: &str) {
    let text = format!("{error} {error:?}");
    assert!(
        error.is_proxy() && error.is_connect() && error.is_request(),
        "{text}"
    );
    assert_eq!(error.proxy(), Some(proxy));
    assert!(
        text.contains(&format!(" through {proxy} ")) && text.contains(remedy),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let port = refusing().port();
    for scheme in ["http", "socks5", "socks5h", "socks4", "socks4a"] {
        let client = through(Proxy::all(format!("{scheme}://me:secret@127.0.0.1:{port}")).unwrap());
        let error = block_on(get(&client, "http://127.0.0.1:9/")).unwrap_err();
        assert_names(
            &error,
            &format!("{scheme}://127.0.0.1:{port}"),
            "that it runs",
        );
    }
    let client = through(Proxy::all("http://me:secret@proxy.invalid").unwrap());
    let error = block_on(get(&client, "http://127.0.0.1:9/")).unwrap_err();
    assert!(error.is_resolve(), "{error}");
    assert_names(&error, "http://proxy.invalid:80", "proxy.invalid");
}

#[test]
fn a_slow_proxy_uses_the_time_to_connect() {
    let proxy = Server::new(|peer| {
        peer.read(1);
        std::thread::sleep(millis(1000));
    });
    let url = format!("socks5h://me:secret@{}", proxy.address());
    let client = Client::builder().connect_timeout(millis(50));
    let client = client.proxy(Proxy::all(url).unwrap()).build().unwrap();
    let error = block_on(get(&client, "http://h.invalid/")).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_names(
        &error,
        &format!("socks5h://{}", proxy.address()),
        "connect_timeout",
    );
}

#[test]
fn socks_proxies_connect_to_names_and_addresses() {
    for (scheme, version) in [
        ("socks5", Version::V5),
        ("socks5h", Version::V5),
        ("socks4", Version::V4),
        ("socks4a", Version::V4),
    ] {
        let server = Server::answering(ok("hello"));
        let proxy = Socks::new(version, Some(("me", "secret")));
        let client = through(Proxy::all(proxy.url(scheme, "me:secret@")).unwrap());
        block_on(async {
            for _ in 0..2 {
                assert_eq!(get(&client, &server.url("/x?y")).await.unwrap(), "hello");
            }
            let named = server.url("/").replace("127.0.0.1", "localhost");
            assert_eq!(get(&client, &named).await.unwrap(), "hello", "{scheme}");
        });
        let port = server.address().port();
        let name = match scheme {
            "socks5h" | "socks4a" => format!("localhost:{port}"),
            _ => format!("127.0.0.1:{port}"),
        };
        // The second request used the first one's tunnel again.
        let asked = proxy.asked();
        assert_eq!(asked[0], format!("127.0.0.1:{port}"));
        // An IPv6 address of the name, where it has one, did not work.
        let asked: Vec<_> = asked[1..]
            .iter()
            .filter(|to| !to.starts_with('['))
            .collect();
        assert_eq!(asked, [&name]);
        // Through a tunnel a request looks as if there was none.
        let request = &server.requests()[0];
        assert!(request.starts_with("GET /x?y HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("proxy-"), "{request}");
    }
}

#[test]
fn a_socks_proxy_that_will_not_says_why() {
    let proxy = Socks::new(Version::V5, Some(("me", "right")));
    for (user, remedy) in [
        ("", "Proxy::basic_auth"),
        ("me:secret@", "user and password"),
    ] {
        let client = through(Proxy::all(proxy.url("socks5h", user)).unwrap());
        let error = block_on(get(&client, "http://127.0.0.1:9/")).unwrap_err();
        assert_names(&error, &proxy.url("socks5h", ""), remedy);
    }
    let proxy = Socks::new(Version::V5, None);
    let client = through(Proxy::all(proxy.url("socks5h", "")).unwrap());
    // Nothing listens at port 9 of this machine.
    let error = block_on(get(&client, "http://127.0.0.1:9/")).unwrap_err();
    assert_names(&error, &proxy.url("socks5h", ""), "check the host and port");
}

#[test]
fn private_addresses_are_blocked_through_proxies_too() {
    let server = Server::answering(ok("secret"));
    let http = Server::answering(ok("secret"));
    let socks = Socks::new(Version::V5, None);
    let port = server.address().port();
    for proxy in [
        http.url(""),
        socks.url("socks5", ""),
        socks.url("socks5h", ""),
    ] {
        let client = Client::builder().block_private_addresses(true);
        let client = client.proxy(Proxy::all(&proxy).unwrap()).build().unwrap();
        for host in [
            "127.0.0.1",
            "localhost",
            "x.LocalHost.",
            "[::ffff:10.0.0.1]",
            "2130706433",
        ] {
            let error = block_on(get(&client, &format!("http://{host}:{port}/"))).unwrap_err();
            let blocked = error.to_string().contains("block_private_addresses");
            // Where the client resolves, the last but one may have no address at all.
            assert!(
                blocked || error.is_resolve(),
                "{host} through {proxy}: {error}"
            );
            assert!(!error.is_proxy());
        }
    }
    assert_eq!(
        (
            server.connections(),
            http.connections(),
            socks.asked().len()
        ),
        (0, 0, 0)
    );
    // The proxy itself may be private, and names are its affair.
    let client = Client::builder().block_private_addresses(true);
    let client = client
        .proxy(Proxy::all(http.url("")).unwrap())
        .build()
        .unwrap();
    assert_eq!(
        block_on(get(&client, "http://h.invalid/")).unwrap(),
        "secret"
    );
}

#[test]
fn a_proxy_that_answers_early_or_not_at_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"220 mail.example ESMTP\r\n");
        }
    });
    let client = through(Proxy::all(format!("socks5h://{address}")).unwrap());
    let error = block_on(get(&client, "http://h.invalid/")).unwrap_err();
    assert_names(&error, &format!("socks5h://{address}"), "");
    let client = through(Proxy::all(format!("http://{address}")).unwrap());
    let error = block_on(get(&client, "http://h.invalid/")).unwrap_err();
    assert!(error.is_request(), "{error}");
}
