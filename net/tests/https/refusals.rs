//! What is refused, why, and when.

use std::error::Error as _;
use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

use heist_net::http::{Client, Error};
use heist_net::tls::{self, Version};
use heist_runtime::block_on;

use crate::certificates::{Authority, Issued};
use crate::server::*;

/// The error of a client that trusts `authority` with a server that shows `issued`.
fn refusal(authority: &Authority, issued: &Issued) -> Error {
    let server = Server::with(config(issued, None), |peer| {
        if peer.request().is_some() {
            peer.send(&ok("secret"));
        }
    });
    let client = trusting(authority).build().unwrap();
    let error = block_on(get(&client, &server.url("/path"))).unwrap_err();
    assert!(server.requests().is_empty());
    assert!(
        error.is_tls() && error.is_connect() && error.is_request(),
        "{error}"
    );
    assert!(
        !error.is_timeout() && !error.is_resolve() && !error.is_body(),
        "{error}"
    );
    let text = error.to_string();
    let begins = format!(
        "securing the connection for {} failed: ",
        server.url("/path")
    );
    assert!(text.starts_with(&begins), "{text}");
    error
}

fn cause(error: &Error) -> &tls::Error {
    let source = error.source().unwrap().downcast_ref().unwrap();
    tls::Error::of(source).unwrap()
}

#[test]
fn bad_certificates() {
    let authority = Authority::new();
    let error = refusal(
        &authority,
        &authority.issue_between(&["localhost"], 2001, 2020),
    );
    assert!(cause(&error).is_expired());
    let text = error.to_string();
    assert!(
        text.contains("has expired: ") && text.contains("renewed"),
        "{text}"
    );

    let error = refusal(&authority, &authority.issue(&["other.test"]));
    assert!(cause(&error).is_wrong_name());
    let text = error.to_string();
    assert!(
        text.contains("other.test, and not for localhost;"),
        "{text}"
    );

    let error = refusal(&authority, &Authority::new().issue(&["localhost"]));
    assert!(cause(&error).is_unknown_issuer());
    assert!(error.to_string().contains("root certificate"), "{error}");

    let error = refusal(&authority, &Issued::self_signed(&["localhost"]));
    assert!(cause(&error).is_unknown_issuer());
}

/// With the roots that are built in, which do not vouch for it.
#[test]
fn strangers() {
    let server = Server::answering(&Authority::new(), ok("hello"));
    let error = block_on(get(&Client::new(), &server.url("/"))).unwrap_err();
    assert!(cause(&error).is_unknown_issuer());
}

#[test]
fn versions() {
    let authority = Authority::new();
    let server = Server::answering(&authority, ok("hello"));
    let builder = trusting(&authority).min_tls_version(Version::TLS_1_3);
    let client = builder.build().unwrap();
    assert_eq!(block_on(get(&client, &server.url("/"))).unwrap(), "hello");
    let builder = trusting(&authority).min_tls_version(Version::TLS_1_3);
    let error = builder
        .max_tls_version(Version::TLS_1_2)
        .build()
        .unwrap_err();
    assert!(error.is_builder(), "{error}");
}

#[test]
fn what_is_not_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        std::thread::sleep(millis(500));
    });
    let error = block_on(get(&Client::new(), &url)).unwrap_err();
    assert!(error.is_tls() && cause(&error).is_not_tls(), "{error}");
    assert!(error.to_string().contains("port"), "{error}");
}

/// It counts as connecting, however the time is limited.
#[test]
fn a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let by_connect = Client::builder()
        .connect_timeout(millis(100))
        .build()
        .unwrap();
    let by_request = Client::builder().timeout(millis(100)).build().unwrap();
    for (client, setting) in [(by_connect, "`connect_timeout`"), (by_request, "`timeout`")] {
        let started = Instant::now();
        let error = block_on(get(&client, &url)).unwrap_err();
        assert!(
            error.is_timeout() && error.is_connect() && error.is_tls(),
            "{error}"
        );
        assert!(error.to_string().contains(setting), "{error}");
        assert!((millis(100)..millis(3000)).contains(&started.elapsed()));
    }
}

#[test]
fn a_server_that_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || while listener.accept().is_ok() {});
    let error = block_on(get(&Client::new(), &url)).unwrap_err();
    assert!(error.is_tls() && !error.is_timeout(), "{error}");
}

/// Nothing is sent in clear, not even the first request.
#[test]
fn https_only() {
    let authority = Authority::new();
    let client = trusting(&authority).https_only(true).build().unwrap();
    let error = block_on(get(&client, "http://localhost/")).unwrap_err();
    assert!(
        error.is_builder() && error.to_string().contains("https_only"),
        "{error}"
    );
    let location = "HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\nContent-Length: 0\r\n\r\n";
    let server = Server::answering(&authority, location.to_owned());
    let error = block_on(get(&client, &server.url("/"))).unwrap_err();
    assert!(
        error.is_redirect() && error.to_string().contains("https_only"),
        "{error}"
    );
}
