//! Python's `http.server`: as it is, which is HTTP/1.0, and with HTTP/1.1 and answers of a script.

use std::path::Path;
use std::time::{Duration, Instant};

use heist_net::http::Client;
use heist_runtime::block_on;

use crate::checks::*;
use crate::program::Program;

/// The script of `server.py`.
pub(crate) fn start() -> Option<Program> {
    Program::start("python3", |folder: &Path, port| {
        let script = folder.join("server.py");
        std::fs::write(&script, include_str!("server.py")).unwrap();
        vec![
            script.to_str().unwrap().to_owned(),
            port.to_string(),
            folder.join("site").to_str().unwrap().to_owned(),
        ]
    })
}

#[test]
fn python_of_http_1_0() {
    let server = Program::start("python3", |folder: &Path, port| {
        let site = folder.join("site");
        let port = port.to_string();
        ["-m", "http.server", &port, "-b", "127.0.0.1", "-d"]
            .map(str::to_owned)
            .into_iter()
            .chain([site.to_str().unwrap().to_owned()])
            .collect()
    });
    let Some(server) = server else { return };
    block_on(async {
        let client = client();
        files(&client, &server).await;
        conditions(&client, &server).await;
        let response = client.get(server.url("/small.txt")).send().await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_10);
    });
}

#[test]
fn python_of_http_1_1() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        files(&client, &server).await;
        conditions(&client, &server).await;
        dynamic(&client, &server).await;
    });
}

/// What the script answers, also through a proxy.
pub(crate) async fn dynamic(client: &Client, server: &Program) {
    chunks(client, &server.url("/chunks")).await;

    let started = Instant::now();
    let late = client.get(server.url("/late")).send().await.unwrap();
    assert_eq!(late.text().await.unwrap(), "late");
    assert!(started.elapsed() > Duration::from_millis(600));

    let response = client.get(server.url("/until-close")).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 100_000);

    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 8) as u8)
        .collect();
    for length in [0, 1, 20_000, body.len()] {
        let sent = body[..length].to_vec();
        let request = client.post(server.url("/echo")).body(sent);
        let response = request.send().await.unwrap();
        assert_eq!(response.content_length(), Some(length as u64));
        assert!(response.bytes().await.unwrap() == body[..length]);
    }
}
