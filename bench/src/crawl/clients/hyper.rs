//! hyper's connection, one for each worker of the crawl, on tokio and on Heist.

use std::{marker::PhantomData, net::SocketAddr};

use ::hyper::{
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, Write},
};
use bytes::Bytes;
use heist::io::Compat;
use http::{
    HeaderValue, Request,
    header::{ACCEPT, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

use super::AGENT;
use crate::{
    crawl::{
        pages::Tally,
        plan::{Client, Page},
    },
    rt::{Contestant, Defer, Heist, MultiThread, Tokio},
};

/// A runtime with an adapter to hyper's traits.
pub(super) trait Adapted: Contestant {
    /// A socket with those traits.
    type Adapted: Read + Write + Unpin + Send + 'static;

    fn adapt(stream: Self::Stream) -> Self::Adapted;
}

impl Adapted for Tokio<MultiThread> {
    type Adapted = TokioIo<Self::Stream>;

    fn adapt(stream: Self::Stream) -> Self::Adapted {
        TokioIo::new(stream)
    }
}

impl Adapted for Heist<Defer> {
    type Adapted = Compat<Self::Stream>;

    fn adapt(stream: Self::Stream) -> Self::Adapted {
        Compat::new(stream)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connections<R> {
    host: HeaderValue,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Connections<R> {
    pub(super) fn new(server: SocketAddr) -> Self {
        let host = HeaderValue::from_str(&server.to_string());
        Self {
            host: host.expect("an address is visible ASCII"),
            runtime: PhantomData,
        }
    }
}

impl<R: Adapted> Client for Connections<R> {
    type Session = SendRequest<Empty<Bytes>>;

    async fn open(&self, server: SocketAddr) -> Self::Session {
        let stream = R::connect(server).await;
        let (sender, connection) = handshake(R::adapt(stream))
            .await
            .expect("nothing is sent yet");
        drop(R::spawn(async move {
            connection.await.expect("the server goes on");
        }));
        sender
    }

    async fn get(&self, session: &mut Self::Session, page: &Page, tally: &mut Tally) {
        let request = Request::get(page.path())
            .header(HOST, self.host.clone())
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .header(ACCEPT, HeaderValue::from_static("*/*"))
            .body(Empty::new());
        session.ready().await.expect("the server stays");
        let request = request.expect("the request is valid");
        let response = session.send_request(request).await;
        let mut response = response.expect("the server answers");
        assert_eq!(response.status(), 200);
        while let Some(frame) = response.frame().await {
            let frame = frame.expect("the server goes on");
            if let Some(chunk) = frame.data_ref() {
                tally.scan(chunk);
            }
        }
    }
}
