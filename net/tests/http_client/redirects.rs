//! Redirects: where they lead, what they carry along, and when they end.

use heist_net::http::{Action, Client, Policy};
use heist_runtime::block_on;

use crate::server::*;

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 3\r\n\r\nbye")
}

/// Counts down: `/n` redirects to `/n-1`, and `/0` is the goal.
fn countdown() -> Server {
    Server::new(|peer| {
        while let Some(head) = peer.request() {
            let path = head.split([' ', '?']).nth(1).unwrap();
            match path[1..].parse::<u32>().unwrap() {
                0 => peer.send(&ok("goal")),
                n => peer.send(&redirect(302, &(n - 1).to_string())),
            }
        }
    })
}

#[test]
fn ten_are_followed_and_eleven_are_not() {
    let server = countdown();
    block_on(async {
        let client = client();
        let response = client.get(server.url("/10")).send().await.unwrap();
        assert_eq!(response.url().as_str(), server.url("/0"));
        assert_eq!(response.text().await.unwrap(), "goal");
        let error = get(&client, &server.url("/11")).await.unwrap_err();
        assert!(error.is_redirect() && error.to_string().contains("too many redirects"));
    });
    // All of them over one connection: a redirect's body came along with its head.
    assert_eq!(server.connections(), 1);
}

#[test]
fn the_policy_decides() {
    let server = countdown();
    let build = |policy| Client::builder().redirect(policy).build().unwrap();
    block_on(async {
        let response = build(Policy::none())
            .get(server.url("/1"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(response.text().await.unwrap(), "bye");
        assert!(
            get(&build(Policy::limited(2)), &server.url("/2"))
                .await
                .is_ok()
        );
        assert!(
            get(&build(Policy::limited(2)), &server.url("/3"))
                .await
                .is_err()
        );
        assert!(
            get(&build(Policy::limited(0)), &server.url("/1"))
                .await
                .is_err()
        );
    });
}

#[test]
fn credentials_stay_at_their_origin() {
    let other = Server::answering(ok("other"));
    let same = redirect(302, "/same");
    let away = redirect(
        302,
        &other.url("/away").replace("http://", "http://evil:pw@"),
    );
    let server = Server::new(move |peer| {
        while let Some(head) = peer.request() {
            peer.send(if head.starts_with("GET /same") {
                &away
            } else {
                &same
            });
        }
    });
    block_on(async {
        let request = client().get(server.url("/"));
        let request = request
            .header("cookie", "a=b")
            .header("host", "name")
            .header("x", "y");
        let response = request.basic_auth("me", Some("pw")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "other");
    });
    for head in server.requests() {
        assert!(
            head.contains("authorization: Basic") && head.contains("cookie: a=b"),
            "{head}"
        );
        assert!(head.contains("host: name\r\n"));
    }
    assert_eq!(server.requests().len(), 2);
    let there = &other.requests()[0];
    assert!(
        !there.contains("authorization") && !there.contains("cookie"),
        "{there}"
    );
    assert!(there.contains(&format!("host: {}\r\n", other.address())) && there.contains("x: y"));
}

#[test]
fn a_post_becomes_a_get_or_is_repeated() {
    for (status, method, has_body) in [
        (303, "GET", false),
        (301, "GET", false),
        (307, "POST", true),
    ] {
        let server = Server::new(move |peer| {
            while let Some(head) = peer.request() {
                if head.contains("content-length: 4") {
                    assert_eq!(peer.read(4).unwrap(), b"body");
                }
                match head.contains(" /goal ") {
                    true => peer.send(&ok("goal")),
                    false => peer.send(&redirect(status, "/goal")),
                }
            }
        });
        block_on(async {
            let response = client()
                .post(server.url("/"))
                .body("body")
                .send()
                .await
                .unwrap();
            assert_eq!(response.text().await.unwrap(), "goal");
        });
        let second = &server.requests()[1];
        assert!(second.starts_with(&format!("{method} /goal ")), "{second}");
        assert_eq!(second.contains("content-length: 4"), has_body);
    }
}

#[test]
fn places_that_cannot_be_gone_to() {
    for (location, is_tls) in [
        #[cfg(not(feature = "tls"))]
        ("https://127.0.0.1/", true),
        ("ftp://h/", false),
        ("//[", false),
    ] {
        let server = Server::answering(redirect(301, location));
        let error = get_once(&server.url("/")).unwrap_err();
        assert!(
            error.is_redirect() && error.is_unsupported_scheme() == is_tls,
            "{error}"
        );
    }
    // Without a location there is nowhere to go, and the response is what it is.
    let server = Server::answering("HTTP/1.1 302 Found\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(get_once(&server.url("/")).unwrap(), "abc");
}

#[test]
fn the_timeout_covers_all_redirects() {
    let server = Server::new(|peer| {
        while peer.request().is_some() {
            std::thread::sleep(millis(60));
            peer.send(&redirect(302, "/again"));
        }
    });
    let client = Client::builder().timeout(millis(200)).build().unwrap();
    let error = block_on(get(&client, &server.url("/"))).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!((2..=4).contains(&server.requests().len()));
}

#[test]
fn a_closure_decides() {
    let server = countdown();
    let build = |policy| Client::builder().redirect(policy).build().unwrap();
    let stopping = build(Policy::custom(|attempt| {
        assert_eq!(attempt.status(), 302);
        assert_eq!(
            attempt.previous().last().unwrap().host(),
            attempt.url().host()
        );
        if attempt.url().path() == "/3" {
            return attempt.stop();
        }
        Policy::limited(5).redirect(attempt)
    }));
    let refusing = build(Policy::custom(|attempt| -> Action {
        attempt.error("not there")
    }));
    block_on(async {
        let response = stopping.get(server.url("/5")).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.url().path()),
            (302, "/4")
        );
        let error = get(&stopping, &server.url("/20")).await.unwrap_err();
        assert!(error.to_string().contains("too many redirects"), "{error}");
        let error = get(&refusing, &server.url("/1")).await.unwrap_err();
        assert!(
            error.is_redirect() && error.to_string().contains("not there"),
            "{error}"
        );
    });
}

#[test]
fn the_next_server_is_told_where_one_comes_from() {
    let server = countdown();
    block_on(async {
        get(&client(), &server.url("/1?q#f")).await.unwrap();
        let silent = Client::builder().referer(false).build().unwrap();
        get(&silent, &server.url("/1")).await.unwrap();
    });
    let requests = server.requests();
    let line = format!("\r\nreferer: {}\r\n", server.url("/1?q"));
    assert!(
        !requests[0].contains("referer") && requests[1].contains(&line),
        "{}",
        requests[1]
    );
    assert!(!requests[3].contains("referer"));
}
