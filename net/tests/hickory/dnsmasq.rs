//! Against a real server, if it is installed.

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use heist_runtime::block_on;

use crate::common::pause;
use crate::texts;
use heist_net::dns::HickoryResolver;

struct Dnsmasq(Child);

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn dnsmasq_is_understood() {
    let port = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            break address.port();
        }
    };
    let mut command = Command::new("dnsmasq");
    let many = (1..=100).map(|last| format!("--host-record=many.test,192.0.2.{last}"));
    command
        .args([
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
        ])
        .args([
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--pid-file=",
        ])
        .args([
            "--local=/test/",
            "--host-record=a.test,192.0.2.1,2001:db8::1",
        ])
        .args(["--cname=www.test,a.test", "--local-ttl=60", "--user=root"])
        .args(many)
        .arg(format!("--port={port}"))
        .stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        eprintln!("skipped: dnsmasq is not installed");
        return;
    };
    let _dnsmasq = Dnsmasq(child);
    block_on(async {
        let resolver = HickoryResolver::builder()
            .name_servers([([127, 0, 0, 1], port).into()])
            .hosts_file(None)
            .search(["test"])
            .build()
            .unwrap();
        // It takes a moment to start.
        for _ in 0..100 {
            if resolver.lookup_ip("a.test").await.is_ok() {
                break;
            }
            pause(20_000).await;
        }
        for name in ["a.test", "www.test", "a", "www"] {
            let found = texts(resolver.lookup_ip(name).await);
            assert_eq!(found, ["2001:db8::1", "192.0.2.1"], "{name}");
        }
        // More than fits into a datagram.
        assert_eq!(resolver.lookup_ip("many.test").await.unwrap().len(), 100);
        let error = resolver.lookup_ip("none.test.").await.unwrap_err();
        assert!(error.is_no_such_name(), "{error}");
        // It has nobody to ask for the rest of the world.
        let error = resolver.lookup_ip("a.elsewhere.").await.unwrap_err();
        assert!(error.is_refused(), "{error}");
    });
}
