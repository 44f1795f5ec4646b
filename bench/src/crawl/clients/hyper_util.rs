//! hyper-util's client, which has a pool and no more.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    Request,
    header::{ACCEPT, USER_AGENT},
};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::AGENT;
use crate::crawl::{
    pages::Tally,
    plan::{Client, Page},
};

#[derive(Debug)]
pub(super) struct Pooled(legacy::Client<HttpConnector, Empty<Bytes>>);

impl Pooled {
    pub(super) fn new(connections: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        Self(builder.pool_max_idle_per_host(connections).build(connector))
    }
}

impl Client for Pooled {
    type Session = ();

    async fn open(&self, _server: SocketAddr) {}

    async fn get(&self, _session: &mut (), page: &Page, tally: &mut Tally) {
        let request = Request::get(page.uri.clone())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "*/*")
            .body(Empty::new());
        let response = self.0.request(request.expect("the request is valid")).await;
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
