//! Servers with TLS that follow a script. They are threads, and use rustls as it comes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist_net::http::{Client, ClientBuilder, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{Authority, Issued};

/// A server whose every connection runs the same script in a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: StreamOwned<ServerConnection, TcpStream>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// rustls's configuration of a server that asks for the certificates of these clients.
pub(crate) fn config(issued: &Issued, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider.clone());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap();
            roots.add(root).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = config
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

impl Server {
    /// At `localhost` and `127.0.0.1`, certified by `authority`.
    pub(crate) fn new(
        authority: &Authority,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let issued = authority.issue(&["localhost", "127.0.0.1"]);
        Self::with(config(&issued, None), script)
    }

    pub(crate) fn with(
        config: ServerConfig,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let (script, config) = (Arc::new(script), Arc::new(config));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (script, requests) = (script.clone(), requests.clone());
                let socket = socket.unwrap();
                // A test that fails must not leave threads behind that wait for ever.
                let limit = Some(Duration::from_secs(20));
                socket.set_read_timeout(limit).unwrap();
                socket.set_nodelay(true).unwrap();
                let session = ServerConnection::new(config.clone()).unwrap();
                let stream = StreamOwned::new(session, socket);
                connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || script(&mut Peer { stream, requests }));
            }
        });
        server
    }

    /// Answers every request on every connection with these bytes.
    pub(crate) fn answering(authority: &Authority, response: String) -> Self {
        Self::new(authority, move |peer| {
            while peer.request().is_some() {
                peer.send(&response);
            }
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Heads of the requests read so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Peer {
    /// Reads one request head; `None` when the client has closed the connection, or never got that far.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        self.requests.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Sends as much as the client takes.
    pub(crate) fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
        let _ = self.stream.flush();
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
    }
}

/// A response with a `Content-Length`.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A client that trusts nobody else, and gives up before the test harness would.
pub(crate) fn trusting(authority: &Authority) -> ClientBuilder {
    Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(authority.root())
        .timeout(Duration::from_secs(10))
}

/// Fetches the whole text.
pub(crate) async fn get(client: &Client, url: &str) -> Result<String, Error> {
    client.get(url).send().await?.text().await
}
