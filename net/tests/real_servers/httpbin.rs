//! Python's httpbin under gunicorn, where they are in `target/httpbin`: `.ci/run` puts them there, as
//! `python3 -m venv target/httpbin && target/httpbin/bin/pip install httpbin gunicorn` does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use heist_net::http::{Body, Client, ClientBuilder, Policy, multipart};
use heist_runtime::block_on;
use heist_sync::join_all;
use serde::Deserialize;

use crate::program::Program;

fn start() -> Option<Program> {
    let test = std::env::current_exe().unwrap();
    // target/PROFILE/deps/TEST
    let target = test.ancestors().nth(3).unwrap().to_owned();
    let gunicorn: PathBuf = target.join("httpbin/bin/gunicorn");
    if !gunicorn.is_file() {
        eprintln!("skipped: httpbin is not in {}/httpbin", target.display());
        return None;
    }
    Program::start(gunicorn.to_str().unwrap(), |_, port| {
        let bind = format!("127.0.0.1:{port}");
        // Threads, since the worker without any closes every connection.
        [
            "-b",
            &bind,
            "-k",
            "gthread",
            "--threads",
            "16",
            "httpbin:app",
        ]
        .map(str::to_owned)
        .to_vec()
    })
}

fn builder() -> ClientBuilder {
    Client::builder().timeout(Duration::from_secs(30))
}

/// What httpbin says about a request.
#[derive(Deserialize)]
struct Echo {
    args: BTreeMap<String, String>,
    #[serde(default)]
    form: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    data: String,
    #[serde(default)]
    json: Option<serde_json::Value>,
    headers: BTreeMap<String, String>,
}

#[test]
fn requests_of_every_kind_arrive_as_they_were_meant() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().build().unwrap();
        let query = [("q", "a b&c"), ("umlaut", "ü")];
        let request = client.get(server.url("/get")).query(&query);
        let echo: Echo = request
            .header("x-mine", "yes")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!((&*echo.args["q"], &*echo.args["umlaut"]), ("a b&c", "ü"));
        assert_eq!(echo.headers["X-Mine"], "yes");

        let form = [("name", "Jürgen"), ("sign", "=&+")];
        let request = client.post(server.url("/post")).form(&form);
        let echo: Echo = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (&*echo.form["name"], &*echo.form["sign"]),
            ("Jürgen", "=&+")
        );

        let value = serde_json::json!({"a": [1, 2, null], "b": "\u{1F600}"});
        let request = client.put(server.url("/put")).json(&value);
        let echo: Echo = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(echo.json, Some(value));

        let file = multipart::Part::text("its bytes").file_name("file.txt");
        let form = multipart::Form::new()
            .text("field", "value")
            .part("upload", file);
        let request = client.post(server.url("/post")).multipart(form);
        let echo: Echo = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (&*echo.form["field"], &*echo.files["upload"]),
            ("value", "its bytes")
        );

        // A body whose length nobody knows, which gunicorn takes in chunks.
        let pieces = (0..50).map(|n| Ok::<_, std::io::Error>(format!("{n},").into()));
        let pieces = pieces.collect::<Vec<Result<bytes::Bytes, _>>>();
        let body = Body::wrap_stream(futures_util::stream::iter(pieces));
        let request = client.patch(server.url("/patch")).body(body);
        let echo: Echo = request.send().await.unwrap().json().await.unwrap();
        let all: String = (0..50).map(|n| format!("{n},")).collect();
        assert_eq!(echo.data, all);
        assert_eq!(echo.headers["Transfer-Encoding"], "chunked");
        let response = client.delete(server.url("/delete")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        // Its connection is free again when all of it was read.
        response.bytes().await.unwrap();
        for status in [204, 304, 404, 418, 500] {
            let url = server.url(&format!("/status/{status}"));
            let response = client.get(url).send().await.unwrap();
            assert_eq!(response.status(), status);
            response.bytes().await.unwrap();
        }
        // All of it over one connection, which gunicorn keeps.
        assert_eq!(client.metrics().connections_opened, 1);
    });
}

/// Each is asked for, and removed. Control: a client that does not decode gets no JSON.
#[test]
fn codings() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().build().unwrap();
        for (path, flag) in [
            ("gzip", "gzipped"),
            ("deflate", "deflated"),
            ("brotli", "brotli"),
        ] {
            let response = client
                .get(server.url(&format!("/{path}")))
                .send()
                .await
                .unwrap();
            assert!(
                !response.headers().contains_key("content-encoding"),
                "{path}"
            );
            let value: serde_json::Value = response.json().await.unwrap();
            assert_eq!(value[flag], true, "{path}");
            let accepted = value["headers"]["Accept-Encoding"].as_str().unwrap();
            assert!(
                accepted.contains("gzip") && accepted.contains("br"),
                "{accepted}"
            );
        }
        let plain = builder()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .build()
            .unwrap();
        let response = plain.get(server.url("/gzip")).send().await.unwrap();
        assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
        assert!(response.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    });
}

#[test]
fn redirects() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().build().unwrap();
        for kind in ["redirect", "relative-redirect", "absolute-redirect"] {
            let response = client
                .get(server.url(&format!("/{kind}/5")))
                .send()
                .await
                .unwrap();
            assert_eq!(
                (response.status().as_u16(), response.url().path()),
                (200, "/get")
            );
        }
        let error = client
            .get(server.url("/redirect/11"))
            .send()
            .await
            .unwrap_err();
        assert!(error.is_redirect(), "{error}");
        let stays = builder().redirect(Policy::none()).build().unwrap();
        let response = stays.get(server.url("/redirect/1")).send().await.unwrap();
        assert_eq!(response.status(), 302);
        // Whether the method and the body survive is up to the status.
        for (status, method) in [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
            let to = format!("/redirect-to?url=/anything&status_code={status}");
            let request = client.post(server.url(&to)).body("body");
            let value: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(value["method"], method, "{status}");
            let body = if method == "POST" { "body" } else { "" };
            assert_eq!(value["data"], body, "{status}");
        }
    });
}

#[test]
fn cookies() {
    #[derive(Deserialize)]
    struct Cookies {
        cookies: BTreeMap<String, String>,
    }
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().cookie_store(true).build().unwrap();
        let ask = async |path: &str| -> Vec<(String, String)> {
            let response = client.get(server.url(path)).send().await.unwrap();
            let cookies: Cookies = response.json().await.unwrap();
            cookies.cookies.into_iter().collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        // Set in a redirect, and sent to where it leads.
        let both = [pair("one", "1"), pair("two", "2")];
        assert_eq!(ask("/cookies/set?one=1&two=2").await, both);
        assert_eq!(ask("/cookies").await, both);
        assert_eq!(ask("/cookies/delete?one").await, both[1..]);
        let stranger = builder().build().unwrap();
        let response = stranger.get(server.url("/cookies")).send().await.unwrap();
        assert!(response.json::<Cookies>().await.unwrap().cookies.is_empty());
    });
}

#[test]
fn credentials() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().build().unwrap();
        let url = server.url("/basic-auth/me/p%C3%A4ss");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
        let request = client.get(&url).basic_auth("me", Some("wrong"));
        assert_eq!(request.send().await.unwrap().status(), 401);
        let request = client.get(&url).basic_auth("me", Some("päss"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.json::<serde_json::Value>().await.unwrap()["user"],
            "me"
        );
        // In the URL.
        let with = server
            .url("/hidden-basic-auth/me/secret")
            .replace("//", "//me:secret@");
        assert_eq!(client.get(&with).send().await.unwrap().status(), 200);
        let bearer = client.get(server.url("/bearer")).bearer_auth("token");
        let value: serde_json::Value = bearer.send().await.unwrap().json().await.unwrap();
        assert_eq!(value["token"], "token");
    });
}

#[test]
fn streams() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = builder().build().unwrap();
        let response = client.get(server.url("/stream/20")).send().await.unwrap();
        assert_eq!(response.header("transfer-encoding"), Some(&b"chunked"[..]));
        let mut text = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            text.extend_from_slice(&piece.unwrap());
        }
        let lines = text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        let ids = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
        assert!(ids.map(|value| value["id"].as_u64().unwrap()).eq(0..20));
        // Bytes of a seed are the same again, in whatever pieces.
        let whole = async |path: &str| {
            let response = client.get(server.url(path)).send().await.unwrap();
            response.bytes().await.unwrap()
        };
        let bytes = whole("/stream-bytes/100000?seed=7&chunk_size=777").await;
        assert_eq!(bytes.len(), 100_000);
        assert!(bytes == whole("/stream-bytes/100000?seed=7&chunk_size=99999").await);
        // The head comes long before the end.
        let started = Instant::now();
        let path = "/drip?duration=1&numbytes=5&delay=0";
        let mut response = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(response.content_length(), Some(5));
        let mut pieces = 0;
        while let Some(piece) = response.chunk().await.unwrap() {
            pieces += 1;
            assert!(!piece.is_empty());
        }
        assert!(pieces > 1 && started.elapsed() >= Duration::from_millis(700));
    });
}

/// Control: without a deadline each takes three seconds.
#[test]
fn delays_and_deadlines() {
    let Some(server) = start() else { return };
    block_on(async {
        let short = Duration::from_millis(300);
        let client = builder().build().unwrap();
        let late = server.url("/delay/3");
        let started = Instant::now();
        let error = client.get(&late).timeout(short).send().await.unwrap_err();
        assert!(error.is_timeout() && error.is_request(), "{error}");
        let heads = builder().head_timeout(short).build().unwrap();
        assert!(heads.get(&late).send().await.unwrap_err().is_timeout());
        let silence = builder().read_timeout(short).build().unwrap();
        assert!(silence.get(&late).send().await.unwrap_err().is_timeout());
        // The body stops coming, after the head.
        let path = "/drip?duration=6&numbytes=3&delay=0";
        let response = silence.get(server.url(path)).send().await.unwrap();
        let error = response.bytes().await.unwrap_err();
        assert!(error.is_timeout() && error.is_body(), "{error}");
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
        // Many late ones at once take as long as one.
        let started = Instant::now();
        join_all((0..8).map(async |_| {
            let response = client.get(server.url("/delay/1")).send().await.unwrap();
            assert_eq!(response.status(), 200);
        }))
        .await;
        assert!(
            started.elapsed() < Duration::from_secs(4),
            "{:?}",
            started.elapsed()
        );
    });
}
