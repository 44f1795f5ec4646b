//! Cookies: kept, sent again, through redirects, and only where they belong.

use std::sync::Arc;

use heist_net::http::Client;
use heist_net::http::cookie::{CookieStore, Jar};
use heist_runtime::block_on;

use crate::server::*;

/// A response with these lines in its head.
fn setting(status: &str, lines: &[&str]) -> String {
    let lines = lines.join("\r\n");
    format!("HTTP/1.1 {status}\r\n{lines}\r\nContent-Length: 2\r\n\r\nok")
}

fn cookie_line(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("cookie: "))
}

/// Logs in at `/login`, which redirects; tells at `/` what it got.
fn shop() -> Server {
    Server::new(|peer| {
        while let Some(head) = peer.request() {
            peer.send(&match head.split(' ').nth(1).unwrap() {
                "/login" => setting(
                    "303 See Other",
                    &[
                        "Location: /in/",
                        "Set-Cookie: id=7; Path=/",
                        "set-cookie: step=1",
                    ],
                ),
                "/out" => setting("200 OK", &["Set-Cookie: id=; Max-Age=0; Path=/"]),
                _ => setting("200 OK", &["X: y"]),
            });
        }
    })
}

#[test]
fn a_session_goes_on_through_redirects() {
    let server = shop();
    let client = Client::builder().cookie_store(true).build().unwrap();
    block_on(async {
        for path in ["/", "/login", "/a", "/out", "/b"] {
            get(&client, &server.url(path)).await.unwrap();
        }
    });
    let requests = server.requests();
    let lines: Vec<_> = requests.iter().map(|head| cookie_line(head)).collect();
    // The one after `/login` is the redirect's.
    let id = Some("id=7; step=1");
    assert_eq!(lines, [None, None, id, id, id, Some("step=1")]);
}

#[test]
fn other_hosts_get_nothing() {
    let other = Server::answering(ok("other"));
    // It is the same machine by another name, which is another host.
    let away = other.url("/").replace("127.0.0.1", "localhost");
    let lines = [format!("Location: {away}"), "Set-Cookie: id=7".to_owned()];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let server = Server::answering(setting("302 Found", &lines));
    let client = Client::builder().cookie_store(true).build().unwrap();
    block_on(async {
        get(&client, &server.url("/")).await.unwrap();
        get(&client, &server.url("/")).await.unwrap();
    });
    assert_eq!(cookie_line(&server.requests()[1]), Some("id=7"));
    for head in other.requests() {
        assert_eq!(cookie_line(&head), None);
    }
    assert_eq!(other.requests().len(), 2);
}

#[test]
fn a_header_of_the_request_wins_at_its_origin() {
    let server = shop();
    let client = Client::builder().cookie_store(true).build().unwrap();
    block_on(async {
        get(&client, &server.url("/login")).await.unwrap();
        let own = client.get(server.url("/login")).header("cookie", "own=1");
        own.send().await.unwrap();
    });
    for head in &server.requests()[2..] {
        assert_eq!(cookie_line(head), Some("own=1"));
    }
}

#[test]
fn a_store_can_be_shared_and_looked_at() {
    let server = shop();
    let jar = Arc::new(Jar::new());
    let url = server.url("/").parse().unwrap();
    jar.add_cookie_str("mine=1", &url);
    let client = Client::builder().cookie_provider(jar.clone());
    let client = client
        .redirect(heist_net::http::Policy::none())
        .build()
        .unwrap();
    block_on(async {
        let response = client.get(server.url("/login")).send().await.unwrap();
        let set: Vec<_> = response.cookies().collect();
        assert_eq!(
            (set[0].name(), set[0].value(), set[0].path()),
            ("id", "7", Some("/"))
        );
        assert_eq!(set.len(), 2);
    });
    assert_eq!(cookie_line(&server.requests()[0]), Some("mine=1"));
    assert_eq!(jar.cookies(&url).unwrap(), "mine=1; id=7; step=1");
    // Without a store nothing is kept.
    get_once(&server.url("/login")).unwrap();
    assert_eq!(cookie_line(server.requests().last().unwrap()), None);
}
