//! Times that are remembered, by a clock that is moved by hand; in a process of its own, as the clock is the process's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/dns_server.rs"]
mod dns_server;

use std::time::Duration;

use dns_server::{Answer, Server};
use heist_net::dns::HickoryResolver;
use heist_runtime::block_on;
use heist_runtime::time::{advance, pause};

/// Negative control: any other clock, such as the standard library's, or a comparison that is off by one.
#[test]
fn answers_are_remembered_to_the_second() {
    pause();
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "hour.example" => Answer::new().address(&query.name, 3600, "192.0.2.1"),
            "forever.example" => Answer::new().address(&query.name, u32::MAX >> 1, "192.0.2.1"),
            "none.example" => Answer::nxdomain().soa("example", 900, 1800),
            _ => Answer::servfail(),
        });
        let resolver = HickoryResolver::builder()
            .name_servers([server.address()])
            .hosts_file(None)
            .ip_strategy(heist_net::dns::LookupIpStrategy::Ipv4Only)
            .build()
            .unwrap();
        let day = 86_400;
        for (name, seconds) in [
            ("hour.example", 3600),
            ("forever.example", day),
            // The lesser of the record's own time and what it says (RFC 2308, section 5).
            ("none.example", 900),
            ("failing.example", 1),
        ] {
            let asked = || {
                server
                    .asked()
                    .iter()
                    .filter(|(asked, _)| asked == name)
                    .count()
            };
            let _ = resolver.lookup_ip(name).await;
            assert_eq!(asked(), 1, "{name}");
            advance(Duration::from_secs(seconds) - Duration::from_nanos(1)).await;
            let _ = resolver.lookup_ip(name).await;
            assert_eq!(asked(), 1, "{name}");
            advance(Duration::from_nanos(1)).await;
            let _ = resolver.lookup_ip(name).await;
            assert_eq!(asked(), 2, "{name}");
        }
    });
}
