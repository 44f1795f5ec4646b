//! Heist's client with every feature on, and its codec by itself.

use std::net::SocketAddr;

use heist::net::{
    TcpStream,
    http::{
        self as client,
        h1::{Connection, Event, Limits, RequestBody, RequestHead},
    },
};
use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{ACCEPT, USER_AGENT},
};

use super::{AGENT, TIMEOUT};
use crate::crawl::{
    pages::Tally,
    plan::{Client, Page},
};

/// The client: redirects, content codings, cookies, the pool and all timeouts.
#[derive(Debug)]
pub(super) struct Whole(client::Client);

impl Whole {
    pub(super) fn new(connections: usize) -> Self {
        let client = client::Client::builder()
            .user_agent(AGENT)
            .cookie_store(true)
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .head_timeout(TIMEOUT)
            .pool_timeout(TIMEOUT)
            .pool_max_idle(connections.max(1024))
            .max_connections_per_host(connections)
            .build();
        Self(client.expect("the settings are valid"))
    }
}

impl Client for Whole {
    type Session = ();

    async fn open(&self, _server: SocketAddr) {}

    async fn get(&self, _session: &mut (), page: &Page, tally: &mut Tally) {
        let response = self.0.get(page.url.clone()).send().await;
        let mut response = response.expect("the server answers");
        assert_eq!(response.status(), 200);
        while let Some(chunk) = response.chunk().await.expect("the server goes on") {
            tally.scan(&chunk);
        }
    }
}

/// The codec, on a connection for each worker of the crawl.
#[derive(Debug)]
pub(super) struct Codec {
    host: String,
    port: u16,
    headers: HeaderMap,
    none: HeaderMap,
}

impl Codec {
    pub(super) fn new(server: SocketAddr) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Self {
            host: server.ip().to_string(),
            port: server.port(),
            headers,
            none: HeaderMap::new(),
        }
    }
}

/// A connection with its codec.
#[derive(Debug)]
pub(super) struct Session {
    stream: TcpStream,
    codec: Connection,
    out: Vec<u8>,
}

impl Client for Codec {
    type Session = Session;

    async fn open(&self, server: SocketAddr) -> Session {
        let stream = TcpStream::connect(server).await.expect("somebody listens");
        stream.set_nodelay(true).expect("TCP has this option");
        Session {
            stream,
            codec: Connection::new(Limits::default()),
            out: Vec::new(),
        }
    }

    async fn get(&self, session: &mut Session, page: &Page, tally: &mut Tally) {
        let Session { stream, codec, out } = session;
        let head = RequestHead {
            method: &Method::GET,
            target: page.path(),
            host: &self.host,
            port: Some(self.port),
            headers: &self.headers,
            defaults: &self.none,
            version: Version::HTTP_11,
            body: RequestBody::None,
        };
        out.clear();
        codec
            .encode_request(&head, out)
            .expect("the request keeps the rules");
        stream.write_all(out).await.expect("the server reads");
        loop {
            let received = stream.recv().await.expect("the server answers");
            let received = received.expect("the server stays");
            let mut input = &received[..];
            loop {
                let event = codec.receive(input);
                let (used, event) = event.expect("the response keeps the rules");
                input = &input[used..];
                match event {
                    Event::Head(head) => assert_eq!(head.status(), 200),
                    Event::Data(data) => tally.scan(data),
                    Event::NeedMore => break,
                    Event::End => return,
                    Event::Trailers(_) => {}
                }
            }
        }
    }
}
