//! Through proxies: what they see, who is believed at the other end, and what is said when it is somebody else.

use std::error::Error as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use heist_net::http::{Client, ClientBuilder, Error, Proxy};
use heist_net::tls;
use heist_runtime::block_on;

use crate::certificates::Authority;
use crate::server::*;
use crate::socks::{Socks, Version};

/// A proxy that knows `CONNECT`. It keeps what it was asked and what it passed on.
struct Tunnels {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    passed: Arc<Mutex<Vec<u8>>>,
}

const ACCEPTED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

impl Tunnels {
    /// Answers everybody with this, and leads them to `server`, wherever they wanted to go.
    fn to(server: SocketAddr, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
            passed: Arc::default(),
        };
        let (heads, passed) = (proxy.heads.clone(), proxy.passed.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (heads, passed) = (heads.clone(), passed.clone());
                let mut client = client.unwrap();
                std::thread::spawn(move || {
                    heads.lock().unwrap().push(head(&mut client));
                    let _ = client.write_all(answer.as_bytes());
                    if answer == ACCEPTED {
                        pass(client, TcpStream::connect(server).unwrap(), &passed);
                    }
                });
            }
        });
        proxy
    }

    /// With a user and a password.
    fn url(&self) -> String {
        format!("http://me:secret@{}", self.address)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Everything that clients have sent through it.
    fn passed(&self) -> Vec<u8> {
        self.passed.lock().unwrap().clone()
    }
}

fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Copies in both directions.
pub(crate) fn pass(mut client: TcpStream, mut server: TcpStream, passed: &Mutex<Vec<u8>>) {
    let (mut from, mut into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        let _ = into.shutdown(Shutdown::Write);
    });
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = client.read(&mut some) {
        passed.lock().unwrap().extend_from_slice(&some[..count]);
        if server.write_all(&some[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

fn through(authority: &Authority, proxy: &str) -> ClientBuilder {
    trusting(authority).proxy(Proxy::all(proxy).unwrap())
}

fn fetch(builder: ClientBuilder, url: &str) -> Result<String, Error> {
    block_on(get(&builder.build().unwrap(), url))
}

/// For the host that the client asks the proxy for, which nobody else could find.
fn origin(authority: &Authority) -> Server {
    let issued = authority.issue(&["origin.invalid"]);
    Server::with(config(&issued, None), |peer| {
        assert_ne!(peer.stream.conn.server_name(), Some("127.0.0.1"));
        while peer.request().is_some() {
            peer.send(&ok("hello"));
        }
    })
}

/// Control: credentials of the proxy among the headers of every request.
#[test]
fn a_proxy_sees_the_host_and_the_server_no_credentials() {
    let authority = Authority::new();
    let server = origin(&authority);
    let proxy = Tunnels::to(server.address, ACCEPTED);
    let client = through(&authority, &proxy.url()).build().unwrap();
    block_on(async {
        for path in ["/hidden", "/hidden/2"] {
            let url = format!("https://origin.invalid{path}");
            let request = client.get(url).header("cookie", "hidden").send();
            let response = request.await.unwrap();
            assert_eq!(response.remote_addr(), Some(proxy.address));
            assert_eq!(response.text().await.unwrap(), "hello");
        }
    });
    // The second request used the tunnel of the first.
    let heads = proxy.heads();
    assert_eq!((heads.len(), server.connections()), (1, 1));
    let start = "CONNECT origin.invalid:443 HTTP/1.1\r\nhost: origin.invalid:443\r\n";
    assert!(heads[0].starts_with(start), "{heads:?}");
    let authorization = "proxy-authorization: Basic bWU6c2VjcmV0\r\n";
    assert!(heads[0].contains(authorization), "{heads:?}");
    assert!(!heads[0].contains("hidden"), "{heads:?}");
    let passed = proxy.passed();
    assert!(passed.len() > 300 && !passed.windows(6).any(|bytes| bytes == b"hidden"));
    for (request, path) in server.requests().iter().zip(["/hidden", "/hidden/2"]) {
        let start = format!("GET {path} HTTP/1.1\r\nhost: origin.invalid\r\n");
        assert!(request.starts_with(&start), "{request}");
        assert!(request.contains("cookie: hidden\r\n"), "{request}");
        assert!(!request.contains("proxy-"), "{request}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn socks() {
    let authority = Authority::new();
    let server = Server::answering(&authority, ok("hello"));
    for scheme in ["socks5", "socks5h"] {
        let proxy = Socks::new(Version::V5, Some(("me", "secret")));
        let client = through(&authority, &proxy.url(scheme, "me:secret@"));
        let client = client.build().unwrap();
        let before = server.connections();
        block_on(async {
            for _ in 0..2 {
                assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
            }
        });
        assert_eq!(server.connections(), before + 1, "{scheme}");
        assert!(!server.requests().concat().contains("proxy-"));
        let strangers = trusting(&Authority::new());
        let proxy = Proxy::all(proxy.url(scheme, "me:secret@")).unwrap();
        let error = fetch(strangers.proxy(proxy), &server.url("/")).unwrap_err();
        assert_untrusted(&error, &server.url("/"), tls::Error::is_unknown_issuer);
    }
    assert_eq!(server.requests().len(), 4);
}

/// The error is of the server, and not of the proxy, which has done its part.
fn assert_untrusted(error: &Error, url: &str, is_it: fn(&tls::Error) -> bool) {
    let text = error.to_string();
    let begins = format!("securing the connection for {url} failed: ");
    assert!(text.starts_with(&begins), "{text}");
    assert!(error.is_tls() && error.is_connect(), "{text}");
    assert!(!error.is_proxy() && !text.contains("secret"), "{text}");
    let source = error.source().unwrap().downcast_ref().unwrap();
    assert!(is_it(tls::Error::of(source).unwrap()), "{text}");
}

/// A proxy that leads elsewhere gets no request, whoever vouches for it.
///
/// Control: checking the certificate for the host that was connected to, which is the proxy's.
#[test]
fn only_the_host_of_the_url_is_believed() {
    let authority = Authority::new();
    let url = "https://origin.invalid/";
    let elsewhere = Server::answering(&authority, ok("hello"));
    let proxy = Tunnels::to(elsewhere.address, ACCEPTED);
    let error = fetch(through(&authority, &proxy.url()), url).unwrap_err();
    assert_untrusted(&error, url, tls::Error::is_wrong_name);
    assert!(error.to_string().contains("not for origin.invalid;"));
    assert!(elsewhere.requests().is_empty());

    let forged = origin(&Authority::new());
    let proxy = Tunnels::to(forged.address, ACCEPTED);
    let error = fetch(through(&authority, &proxy.url()), url).unwrap_err();
    assert_untrusted(&error, url, tls::Error::is_unknown_issuer);
    assert!(forged.requests().is_empty());
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let authority = Authority::new();
    let server = origin(&authority);
    let refusal = "HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n";
    let proxy = Tunnels::to(server.address, refusal);
    let error = fetch(through(&authority, &proxy.url()), "https://origin.invalid/").unwrap_err();
    assert!(error.is_proxy() && !error.is_tls(), "{error}");
    assert_eq!(error.proxy_status().unwrap(), 407);
    let name = format!("http://{}", proxy.address);
    assert_eq!(error.proxy(), Some(&*name));
    assert_eq!(server.connections(), 0);
}

/// A tunnel to something else than TLS, and one to nothing.
#[test]
fn tunnels_that_lead_nowhere() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Tunnels::to(listener.local_addr().unwrap(), ACCEPTED);
    let url = "https://origin.invalid/";
    let builder = through(&authority, &proxy.url()).connect_timeout(millis(200));
    let error = fetch(builder, url).unwrap_err();
    assert!(error.is_timeout() && error.is_tls(), "{error}");
    assert!(error.to_string().contains("`connect_timeout`"), "{error}");
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            // What comes with the proxy's answer would be for nobody.
            let _ = socket.read(&mut [0]);
            let _ = socket.write_all(b"HTTP/1.1 400 No\r\n\r\n");
            // A socket that is closed with bytes unread takes back what it has sent.
            let _ = std::io::copy(&mut socket, &mut std::io::sink());
        }
    });
    let client: Client = through(&authority, &proxy.url()).build().unwrap();
    let error = block_on(get(&client, url)).unwrap_err();
    assert_untrusted(&error, url, tls::Error::is_not_tls);
}
