//! From one scheme to the other.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use heist_net::http::Policy;
use heist_runtime::block_on;

use crate::certificates::Authority;
use crate::server::*;

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A server without TLS that answers each connection once. Its URL, and the requests it got.
fn plain(response: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            socket.write_all(response.as_bytes()).unwrap();
        }
    });
    (url, requests)
}

#[test]
fn into_tls() {
    let authority = Authority::new();
    let server = Server::answering(&authority, ok("secure"));
    let (url, requests) = plain(redirect(&server.url("/there")));
    let client = trusting(&authority).build().unwrap();
    block_on(async {
        let request = client.get(&url).bearer_auth("token").header("x", "y");
        let response = request.send().await.unwrap();
        assert_eq!(response.url().as_str(), server.url("/there"));
        assert_eq!(response.text().await.unwrap(), "secure");
    });
    assert!(requests.lock().unwrap()[0].contains("authorization: Bearer token"));
    // Another scheme is another origin, even where it is the better one.
    let there = &server.requests()[0];
    assert!(
        !there.contains("authorization") && there.contains("x: y"),
        "{there}"
    );
}

#[test]
fn out_of_tls() {
    let authority = Authority::new();
    let (url, requests) = plain(ok("in clear"));
    let server = Server::answering(&authority, redirect(&url));
    let client = trusting(&authority).build().unwrap();
    let willing = trusting(&authority).redirect(Policy::custom(|attempt| attempt.follow()));
    let willing = willing.build().unwrap();
    block_on(async {
        // Without credentials there is nothing to protect.
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "in clear");
        for (name, value) in [("authorization", "Bearer x"), ("cookie", "a=b")] {
            let request = client.get(server.url("/")).header(name, value);
            let error = request.send().await.unwrap_err();
            assert!(error.is_redirect(), "{error}");
            assert!(error.to_string().contains("Policy::custom"), "{error}");
            assert_eq!(requests.lock().unwrap().len(), 1);
        }
        let request = willing.get(server.url("/")).bearer_auth("token");
        let text = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "in clear");
    });
    let requests = requests.lock().unwrap();
    assert!(!requests[1].contains("authorization"), "{}", requests[1]);
}
