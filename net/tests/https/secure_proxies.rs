//! Through proxies that are spoken to over TLS: what can be seen on the way to them, and who is believed to be one.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use heist_net::http::{ClientBuilder, Error, Proxy};
use heist_net::io::{AsyncBufReadExt, AsyncWriteExt, copy_bidirectional};
use heist_net::tls::{self, TlsAcceptor};
use heist_runtime::block_on;

use crate::certificates::Authority;
use crate::program::Program;
use crate::proxies::pass;
use crate::server::*;

/// A proxy over TLS, at `localhost`. It leads all tunnels to one server, and answers whatever it is to pass on.
struct SecureProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl SecureProxy {
    fn to(server: SocketAddr, authority: &Authority, names: &[&str]) -> Self {
        let acceptor = TlsAcceptor::new(authority.issue(names).identity()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = proxy.heads.clone();
        std::thread::spawn(move || {
            block_on(async {
                let listener = heist_net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let (acceptor, heads) = (acceptor.clone(), heads.clone());
                    heist_runtime::spawn(async move {
                        if let Ok(client) = acceptor.accept(client).await {
                            let _ = serve(client, server, &heads).await;
                        }
                    });
                }
            });
        });
        proxy
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(
    mut client: tls::TlsStream<heist_net::TcpStream>,
    server: SocketAddr,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if client.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let wants_tunnel = head.starts_with("CONNECT ");
        heads.lock().unwrap().push(head);
        if wants_tunnel {
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut server = heist_net::TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
        client.write_all(ok("passed on").as_bytes()).await?;
    }
}

/// A way to `to` on which everything is overheard. Returns where it begins.
fn overhear(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let hears = heard.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, hears) = (client.unwrap(), hears.clone());
            std::thread::spawn(move || pass(client, TcpStream::connect(to).unwrap(), &hears));
        }
    });
    (address, heard)
}

fn through(authority: &Authority, port: u16) -> ClientBuilder {
    let proxy = format!("https://me:secret@localhost:{port}");
    trusting(authority).proxy(Proxy::all(proxy).unwrap())
}

fn fetch(builder: ClientBuilder, url: &str) -> Result<String, Error> {
    block_on(get(&builder.build().unwrap(), url))
}

fn origin(authority: &Authority) -> Server {
    let issued = authority.issue(&["origin.invalid"]);
    Server::with(config(&issued, None), |peer| {
        while peer.request().is_some() {
            peer.send(&ok("hello"));
        }
    })
}

/// Control: a client that asks before it has secured the connection is overheard, and its proxy does not understand it.
#[test]
fn a_proxy_over_tls_hides_what_it_is_asked() {
    let authority = Authority::new();
    let server = origin(&authority);
    let proxy = SecureProxy::to(server.address, &authority, &["localhost"]);
    let (way, heard) = overhear(proxy.address);
    let client = through(&authority, way.port()).build().unwrap();
    block_on(async {
        for path in ["/one", "/two"] {
            let url = format!("https://origin.invalid{path}");
            assert_eq!(get(&client, &url).await.unwrap(), "hello");
        }
    });
    let heads = proxy.heads();
    assert_eq!((heads.len(), server.connections()), (1, 1), "one tunnel");
    assert!(heads[0].starts_with("CONNECT origin.invalid:443 HTTP/1.1\r\n"));
    assert!(heads[0].contains("proxy-authorization: Basic bWU6c2VjcmV0\r\n"));
    let heard = heard.lock().unwrap().clone();
    assert!(heard.len() > 500);
    for secret in ["CONNECT", "origin.invalid", "bWU6c2VjcmV0"] {
        let found = heard
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "{secret} was overheard");
    }
    assert!(!server.requests().concat().contains("proxy-"));
}

/// `http` URLs are given to it whole, on a connection that is kept.
#[test]
fn plain_requests_go_to_the_proxy_over_tls() {
    let authority = Authority::new();
    let server = origin(&authority);
    let proxy = SecureProxy::to(server.address, &authority, &["localhost"]);
    let (way, heard) = overhear(proxy.address);
    let client = through(&authority, way.port()).build().unwrap();
    block_on(async {
        for path in ["one", "two"] {
            let url = format!("http://origin.invalid/{path}");
            assert_eq!(get(&client, &url).await.unwrap(), "passed on");
        }
    });
    let heads = proxy.heads();
    for (head, path) in heads.iter().zip(["one", "two"]) {
        let start = format!("GET http://origin.invalid/{path} HTTP/1.1\r\n");
        assert!(head.starts_with(&start), "{head}");
        assert!(head.contains("proxy-authorization: Basic bWU6c2VjcmV0\r\n"));
    }
    let metrics = client.metrics();
    assert_eq!((heads.len(), metrics.connections_opened), (2, 1));
    assert!(!String::from_utf8_lossy(&heard.lock().unwrap()).contains("origin.invalid"));
    assert_eq!(server.connections(), 0);
}

/// Before anything is said. Control: a connector that does not check names.
#[test]
fn only_who_proves_the_name_is_a_proxy() {
    let authority = Authority::new();
    let server = origin(&authority);
    let wrong = SecureProxy::to(server.address, &authority, &["elsewhere.test"]);
    let stranger = SecureProxy::to(server.address, &Authority::new(), &["localhost"]);
    let checks: [fn(&tls::Error) -> bool; 2] =
        [tls::Error::is_wrong_name, tls::Error::is_unknown_issuer];
    for (proxy, is_it) in [wrong, stranger].into_iter().zip(checks) {
        for url in ["https://origin.invalid/", "http://origin.invalid/"] {
            let error = fetch(through(&authority, proxy.port()), url).unwrap_err();
            assert!(
                error.is_tls() && error.is_proxy() && error.is_connect(),
                "{error}"
            );
            let name = format!("https://localhost:{}", proxy.port());
            assert_eq!(error.proxy(), Some(&*name));
            let source = std::error::Error::source(&error).unwrap();
            let source = tls::Error::of(source.downcast_ref().unwrap()).unwrap();
            assert!(is_it(source), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(proxy.heads().is_empty());
    }
    assert_eq!(server.connections(), 0);
}

/// The server behind a good proxy is not believed because that is.
#[test]
fn the_server_behind_has_to_prove_its_own_name() {
    let authority = Authority::new();
    let forged = origin(&Authority::new());
    let proxy = SecureProxy::to(forged.address, &authority, &["localhost"]);
    let error = fetch(through(&authority, proxy.port()), "https://origin.invalid/");
    let error = error.unwrap_err();
    assert!(error.is_tls() && !error.is_proxy(), "{error}");
    assert!(forged.requests().is_empty());
}

#[test]
fn a_proxy_without_tls_gets_no_request() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut some = [0; 4096];
        let count = std::io::Read::read(&mut socket, &mut some).unwrap();
        std::io::Write::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Closed with bytes unread it would take back what it has sent.
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
        some[..count].to_vec()
    });
    let error = fetch(through(&authority, port), "http://origin.invalid/").unwrap_err();
    assert!(error.is_tls() && error.is_proxy(), "{error}");
    let heard = heard.join().unwrap();
    assert!(
        !String::from_utf8_lossy(&heard).contains("secret") && heard[0] == 22,
        "no record"
    );
}

/// Squid with an `https_port`, if it is one that was built with TLS (Debian's `squid-openssl`).
#[test]
fn squid_over_tls() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    // Two of one name share memory, whoever started them, and the second ends the first.
    let name = format!("heists{}", std::process::id());
    let squid = Program::start_if("squid", |folder: &Path, port| {
        let shown = folder.to_str().unwrap();
        std::fs::write(folder.join("cert.pem"), &issued.chain).unwrap();
        std::fs::write(folder.join("key.pem"), &issued.key).unwrap();
        let configuration = format!(
            "https_port 127.0.0.1:{port} tls-cert={shown}/cert.pem tls-key={shown}/key.pem\n\
             http_access allow localhost\nhttp_access deny all\nacl CONNECT method CONNECT\n\
             pid_filename {shown}/pid\naccess_log none\ncache_log /dev/null\ncache deny all\n\
             netdb_filename none\npinger_enable off\nshutdown_lifetime 0 seconds\n\
             visible_hostname squid.test\ncoredump_dir {shown}\nvia on\n"
        );
        let file = folder.join("squid.conf");
        std::fs::write(&file, configuration).unwrap();
        let file = file.to_str().unwrap();
        ["-N", "-n", &name, "-f", file].map(str::to_owned).to_vec()
    });
    let Some(squid) = squid else { return };
    let server = Server::answering(&authority, ok("hello"));
    let proxy = Proxy::all(format!("https://localhost:{}", squid.port())).unwrap();
    let client = trusting(&authority).proxy(proxy).build().unwrap();
    block_on(async {
        for _ in 0..2 {
            let response = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(response.remote_addr().unwrap().port(), squid.port());
            assert_eq!(response.text().await.unwrap(), "hello");
        }
        // Squid's own answer to what it cannot reach.
        let response = client.get("http://127.0.0.1:9/").send().await.unwrap();
        assert!(response.headers().contains_key("via") && response.status() == 503);
    });
    assert_eq!(server.connections(), 1, "both went through one tunnel");
}
