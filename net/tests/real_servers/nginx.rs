//! nginx.

use std::path::Path;
use std::time::{Duration, Instant};

use heist_net::http::Client;
use heist_runtime::block_on;

use crate::checks::*;
use crate::program::{LARGE, Program, large};

/// The configuration, but for folder and port.
const CONFIGURATION: &str = r#"
daemon off;
user root;
worker_processes 2;
pid @FOLDER@/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path @FOLDER@/body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    default_type application/octet-stream;
    sendfile on;
    server {
        listen 127.0.0.1:@PORT@;
        add_header x-port $remote_port always;
        root @FOLDER@/site;
        ssi on;
        ssi_types *;
        location ~ \.(txt|bin)$ { ssi off; }
        location ^~ /few/ { alias @FOLDER@/site/; ssi off; keepalive_requests 5; }
        location ^~ /none/ { alias @FOLDER@/site/; ssi off; keepalive_timeout 0; }
        location ^~ /slow/ { alias @FOLDER@/site/; ssi off; limit_rate_after 1m; limit_rate 20m; }
        location ^~ /zip/ { alias @FOLDER@/site/; ssi off; gzip on; gzip_types *; gzip_min_length 1; }
        location = /moved { return 301 /small.txt; }
        location = /loop { return 302 /loop; }
        location = /nothing { return 204; }
        location = /hang { return 444; }
    }
}
"#;

fn start() -> Option<Program> {
    start_with(CONFIGURATION)
}

fn start_with(configuration: &str) -> Option<Program> {
    Program::start("nginx", |folder: &Path, port| {
        let folder = folder.to_str().unwrap();
        let file = format!("{folder}/nginx.conf");
        let text = configuration.replace("@FOLDER@", folder);
        std::fs::write(&file, text.replace("@PORT@", &port.to_string())).unwrap();
        vec!["-p".to_owned(), folder.to_owned(), "-c".to_owned(), file]
    })
}

#[test]
fn nginx_serves_files() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        files(&client, &server).await;
        ranges(&client, &server).await;
        conditions(&client, &server).await;
        chunks(&client, &server.url("/page.shtml")).await;
        crowd(&client, &server).await;
    });
}

#[test]
fn nginx_keeps_connections_alive_for_a_while() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        assert_eq!(connections(&client, &server.url("/small.txt"), 30).await, 1);
        // Then on each connection there are five at most.
        let few = connections(&self::client(), &server.url("/few/small.txt"), 23).await;
        assert_eq!(few, 5);
        let none = connections(&self::client(), &server.url("/none/small.txt"), 4).await;
        assert_eq!(none, 4);
        // HEAD, 204, 304 and 404 leave the connection as it is.
        let mixed = self::client();
        for path in ["/small.txt", "/nothing", "/missing", "/empty.txt"] {
            let url = server.url(path);
            mixed.head(&url).send().await.unwrap();
            let response = mixed.get(&url).send().await.unwrap();
            response.bytes().await.unwrap();
        }
        conditions(&mixed, &server).await;
        let url = server.url("/small.txt");
        let before = connections(&mixed, &url, 1).await;
        assert_eq!(before, 1);
    });
}

#[test]
fn nginx_is_slow() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        let started = Instant::now();
        let response = client.get(server.url("/slow/large.bin")).send().await;
        assert_eq!(hash_of(response.unwrap()).await, (LARGE, hash(&large())));
        assert!(started.elapsed() > Duration::from_millis(200), "not slow");
        // A deadline in the middle of it.
        let request = client.get(server.url("/slow/large.bin"));
        let request = request.timeout(Duration::from_millis(100));
        let error = request.send().await.unwrap().bytes().await.unwrap_err();
        assert!(error.is_timeout() && error.is_body(), "{error}");
    });
}

#[test]
fn nginx_compresses_for_who_asks() {
    let Some(server) = start() else { return };
    block_on(async {
        let url = server.url("/zip/small.txt");
        // Who asks by hand, and wants none removed, gets what comes.
        let by_hand = Client::builder().no_gzip().build().unwrap();
        let request = by_hand.get(&url).header("accept-encoding", "gzip");
        let response = request.send().await.unwrap();
        assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
        assert_eq!(response.content_length(), None);
        assert!(response.bytes().await.unwrap().starts_with(b"\x1f\x8b"));
        // Otherwise it is asked for if it can be removed.
        let response = client().get(&url).send().await.unwrap();
        let came = response.head().get("content-encoding").is_some();
        assert_eq!(came, cfg!(feature = "gzip"));
        assert_eq!(response.text().await.unwrap(), crate::program::SMALL);
    });
}

#[test]
fn nginx_redirects_and_hangs_up() {
    let Some(server) = start() else { return };
    block_on(async {
        let client = client();
        let response = client.get(server.url("/moved")).send().await.unwrap();
        assert_eq!(response.url().path(), "/small.txt");
        assert_eq!(response.text().await.unwrap(), crate::program::SMALL);
        let error = client.get(server.url("/loop")).send().await.unwrap_err();
        assert!(error.is_redirect(), "{error}");
        let error = client.get(server.url("/hang")).send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error}");
    });
}

/// `http2` behind `listen` is what old and new versions know.
#[cfg(feature = "http2")]
#[test]
fn nginx_speaks_http_2() {
    let configuration = CONFIGURATION.replace("@PORT@;", "@PORT@ http2;");
    let Some(server) = start_with(&configuration) else {
        return;
    };
    let client = || {
        let builder = Client::builder().no_proxy().http2_prior_knowledge();
        builder.timeout(Duration::from_secs(20)).build().unwrap()
    };
    block_on(async {
        let many = client();
        files(&many, &server).await;
        ranges(&many, &server).await;
        conditions(&many, &server).await;
        let url = server.url("/small.txt");
        let response = many.get(&url).send().await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.text().await.unwrap(), crate::program::SMALL);
        assert_eq!(connections(&client(), &url, 30).await, 1);
        // One that says goodbye after five.
        let polite = CONFIGURATION.replace("@PORT@;", "@PORT@ http2; keepalive_requests 5;");
        let polite = start_with(&polite).unwrap();
        let few = connections(&client(), &polite.url("/small.txt"), 23).await;
        assert_eq!(few, 5);
        let request = many.get(server.url("/slow/large.bin"));
        let request = request.timeout(Duration::from_millis(100));
        let error = request.send().await.unwrap().bytes().await.unwrap_err();
        assert!(error.is_timeout() && error.is_body(), "{error}");
        // The stream alone was reset.
        many.get(&url).send().await.unwrap();
        assert_eq!(many.metrics().connections_opened, 1);
    });
}
