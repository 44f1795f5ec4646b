//! Values as bodies and queries.

use std::sync::{Arc, Mutex};

use futures_util::stream;
use heist_net::http::multipart::{Form, Part};
use heist_net::http::{Body, Client};
use heist_runtime::block_on;
use serde::{Deserialize, Serialize};

use crate::server::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    name: String,
}

fn point() -> Point {
    Point {
        x: -1,
        name: "a & b".to_owned(),
    }
}

/// Keeps the bodies that it gets, and answers with them.
fn echo() -> (Server, Arc<Mutex<Vec<Vec<u8>>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let sink = bodies.clone();
    let server = Server::new(move |peer| {
        while let Some(head) = peer.request() {
            let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().unwrap().parse().unwrap()
            });
            let body = peer.read(length).unwrap();
            let echo = ok(&String::from_utf8_lossy(&body));
            // Before the answer: whoever has that finds the body here.
            sink.lock().unwrap().push(body);
            peer.send(&echo);
        }
    });
    (server, bodies)
}

#[test]
fn json_there_and_back() {
    let (server, _) = echo();
    block_on(async {
        let request = client().post(server.url("/")).json(&point());
        let response = request.send().await.unwrap();
        assert_eq!(response.json::<Point>().await.unwrap(), point());
        let request = client().post(server.url("/")).body("{\"x\":");
        let response = request.send().await.unwrap();
        let error = response.json::<Point>().await.unwrap_err();
        assert!(error.is_decode() && error.url().is_some(), "{error}");
        let bad = std::collections::HashMap::from([(vec![1], 2)]);
        let error = client()
            .post(server.url("/"))
            .json(&bad)
            .send()
            .await
            .unwrap_err();
        assert!(error.is_builder(), "{error}");
    });
    assert!(server.requests()[0].contains("\r\ncontent-type: application/json\r\n"));
}

#[test]
fn forms_and_queries() {
    let (server, bodies) = echo();
    block_on(async {
        let request = client().post(server.url("/?first=1")).query(&point());
        let request = request.query(&[("more", "ü")]).form(&point());
        request.send().await.unwrap();
        let none: [(&str, &str); 0] = [];
        client()
            .get(server.url("/plain"))
            .query(&none)
            .send()
            .await
            .unwrap();
        let error = client()
            .get(server.url("/"))
            .query(&[vec![1]])
            .send()
            .await
            .unwrap_err();
        assert!(error.is_builder(), "{error}");
    });
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /?first=1&x=-1&name=a+%26+b&more=%C3%BC HTTP"));
    assert!(requests[0].contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"));
    assert!(requests[1].starts_with("GET /plain HTTP"));
    assert_eq!(bodies.lock().unwrap()[0], b"x=-1&name=a+%26+b");
}

#[test]
fn parts() {
    let (server, bodies) = echo();
    let form = |streamed: bool| {
        let file = if streamed {
            let pieces = stream::iter(["by", "tes"].map(Ok::<_, std::io::Error>));
            Part::stream(Body::wrap_stream(pieces).with_length(5))
        } else {
            Part::bytes(b"bytes".to_vec())
        };
        let file = file
            .file_name("a\"b.bin")
            .mime_str("application/x-test")
            .unwrap();
        Form::new().text("name", "value").part("file", file)
    };
    block_on(async {
        for streamed in [false, true] {
            let form = form(streamed);
            let boundary = form.boundary().to_owned();
            let request = Client::new().post(server.url("/")).multipart(form);
            assert_eq!(
                request.try_clone().is_some(),
                !streamed,
                "only memory can be sent again"
            );
            request.send().await.unwrap().text().await.unwrap();
            let expected = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nvalue\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
                 filename=\"a%22b.bin\"\r\ncontent-type: application/x-test\r\n\r\nbytes\r\n\
                 --{boundary}--\r\n"
            );
            let body = bodies.lock().unwrap().pop().unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected);
            let head = server.requests().pop().unwrap();
            let mime = format!("content-type: multipart/form-data; boundary={boundary}\r\n");
            assert!(head.contains(&mime), "{head}");
        }
    });
    assert!(Part::text("x").mime_str("a\r\nb").unwrap_err().is_builder());
}
