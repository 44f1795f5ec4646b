//! reqwest with the same features on: redirects, gzip, cookies, the pool and timeouts.

use std::net::SocketAddr;

use super::{AGENT, TIMEOUT};
use crate::crawl::{
    pages::Tally,
    plan::{Client, Page},
};

#[derive(Debug)]
pub(super) struct Whole(::reqwest::Client);

impl Whole {
    pub(super) fn new(connections: usize) -> Self {
        let client = ::reqwest::Client::builder()
            .user_agent(AGENT)
            .cookie_store(true)
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .pool_max_idle_per_host(connections)
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
