//! A frontier behind TLS, with users and certificates: a real Redis as it is meant to be run where others are near.
//!
//! The negative control, tried: let `Certificates::client` use the certificates of the system whatever it is given.

#![cfg(all(feature = "redis", feature = "https"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use common::log_server::tree;
use common::redis::Redis;
use common::{program, text};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A private authority, and what it vouches for, in files.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        for name in ["localhost", "crawler"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(
                folder.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    /// A server with a certificate, and its port.
    fn server(&self, clients: &str) -> Option<(Redis, u16)> {
        // Nobody's at the moment, for it to take.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let redis = Redis::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--tls-auth-clients",
            clients,
            "--tls-cert-file",
            &self.file("localhost.pem"),
            "--tls-key-file",
            &self.file("localhost.key"),
            "--tls-ca-cert-file",
            &self.file("ca.pem"),
        ])?;
        Some((redis, port))
    }
}

/// Crawls a few pages, and returns what the program says on standard error, and its exit status.
fn crawl(arguments: &[&str], roots: Option<&str>) -> (String, Option<i32>) {
    let server = tree(5, Duration::ZERO);
    let mut command = program();
    command
        .args([&server.url("/"), "--quiet", "--workers", "1"])
        .args(arguments);
    if let Some(file) = roots {
        command.env("SSL_CERT_FILE", file);
    }
    let output = command.output().unwrap();
    (text(&output.stderr).to_owned(), output.status.code())
}

#[test]
fn a_crawl_over_tls_with_a_user_and_a_certificate() {
    let authority = Authority::new();
    let Some((redis, port)) = authority.server("yes") else {
        return;
    };
    // What README.md tells to allow.
    let user = "on >sesame ~heist:* +@read +@write +@scripting +@connection +time";
    let words: Vec<_> = ["ACL", "SETUSER", "crawl"]
        .into_iter()
        .chain(user.split(' '))
        .collect();
    assert_eq!(redis.cli(&words).trim(), "OK");
    redis.cli(&["ACL", "SETUSER", "default", "off"]);
    let [ca, certificate, key] =
        ["ca.pem", "crawler.pem", "crawler.key"].map(|name| authority.file(name));
    let url = format!("rediss://crawl:sesame@localhost:{port}/");
    let flags = [
        "--frontier",
        &url,
        "--frontier-cert",
        &certificate,
        "--frontier-key",
        &key,
    ];
    let private = [&flags[..], &["--frontier-ca", &ca]].concat();
    assert_eq!(crawl(&private, None), (String::new(), Some(0)));
    // The same authority as one of the system's.
    let flags = [
        &flags[..],
        &["--frontier-name", "other", "--frontier-keep", "0"],
    ]
    .concat();
    assert_eq!(crawl(&flags, Some(&ca)), (String::new(), Some(0)));

    let wrong = url.replace("sesame", "open");
    let (said, status) = crawl(
        &[
            "--frontier",
            &wrong,
            "--frontier-ca",
            &ca,
            flags[2],
            flags[3],
            flags[4],
            flags[5],
        ],
        None,
    );
    assert!(
        said.contains("password") && !said.contains("open"),
        "{said}"
    );
    assert_eq!(status, Some(1));
    let (said, status) = crawl(&["--frontier", &url, "--frontier-ca", &ca], None);
    assert!(
        said.contains("frontier-cert") && status == Some(1),
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_it_is_said() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some((redis, port)) = authority.server("no") else {
        return;
    };
    let [ca, key] = ["ca.pem", "crawler.key"].map(|name| authority.file(name));
    let (url, by_number) = (
        format!("rediss://localhost:{port}/"),
        format!("rediss://127.0.0.1:{port}/"),
    );
    let unsafe_url = format!("{url}#insecure");
    let plain = format!("redis://localhost:{port}/");
    for (url, flags, part, expected) in [
        (&url, vec!["--frontier-ca", &ca], "", 0),
        (
            &url,
            vec!["--frontier-ca", &stranger.file("ca.pem")],
            "`frontier-ca`",
            1,
        ),
        (
            &by_number,
            vec!["--frontier-ca", &ca],
            "in the certificate",
            1,
        ),
        (&url, vec!["--frontier-ca", &key], "no certificate", 1),
        (&url, vec!["--frontier-ca", "/nowhere"], "/nowhere", 1),
        (
            &url,
            vec!["--frontier-cert", &ca, "--frontier-key", &ca],
            "no private key",
            1,
        ),
        (&url, vec!["--frontier-cert", &ca], "--frontier-key", 2),
        (&plain, vec!["--frontier-ca", &ca], "rediss://", 1),
        (&plain, vec![], "cannot use the frontier", 1),
        (&unsafe_url, vec![], "#insecure", 2),
    ] {
        let (said, status) = crawl(&[&["--frontier", url.as_str()], &flags[..]].concat(), None);
        assert!(
            said.contains(part) && status == Some(expected),
            "{url} {flags:?}: {said}"
        );
    }
    drop(redis);
    // A server that speaks something else.
    let server = tree(1, Duration::ZERO);
    let url = server.url("").replace("http://", "rediss://");
    let (said, status) = crawl(&["--frontier", &url, "--frontier-ca", &ca], None);
    assert!(
        said.contains("with TLS if the URL says so") && status == Some(1),
        "{said}"
    );
}
