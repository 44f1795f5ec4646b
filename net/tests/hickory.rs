//! The resolver that asks name servers itself, against servers that do what a script says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/dns_server.rs"]
mod dns_server;

#[path = "hickory/answers.rs"]
mod answers;
#[path = "hickory/failures.rs"]
mod failures;
#[path = "hickory/families.rs"]
mod families;
#[path = "hickory/names.rs"]
mod names;
#[path = "hickory/sharing.rs"]
mod sharing;
#[path = "hickory/dnsmasq.rs"]
mod dnsmasq;

use std::net::IpAddr;
use std::time::Duration;

use dns_server::Server;
use heist_net::dns::{Error, HickoryBuilder, HickoryResolver};

/// A resolver that knows nothing but these servers.
fn asking<'a>(servers: impl IntoIterator<Item = &'a Server>) -> HickoryBuilder {
    HickoryResolver::builder()
        .name_servers(servers.into_iter().map(Server::address))
        .hosts_file(None)
        .timeout(Duration::from_secs(5))
        .failure_ttl(Duration::ZERO)
}

fn texts(outcome: Result<Vec<IpAddr>, Error>) -> Vec<String> {
    outcome.unwrap().iter().map(ToString::to_string).collect()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
