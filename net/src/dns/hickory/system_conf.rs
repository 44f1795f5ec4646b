//! The system's configuration of its resolver, `resolv.conf(5)`.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::system_conf::parse_resolv_conf;

use super::super::error::{Error, Kind};
use super::super::name::Name;

/// What is said there.
#[derive(Debug)]
pub(super) struct SystemConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<Name>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: usize,
}

impl SystemConf {
    /// Reads it as the system does: without a name server it is the one on this machine.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        const HERE: &[u8] = b"\nnameserver 127.0.0.1\n";
        let has_server = text
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii_start().starts_with(b"nameserver"));
        let (config, options) = match has_server {
            true => parse_resolv_conf(text),
            false => parse_resolv_conf([text, HERE].concat()),
        }
        .map_err(|error| Error::new("resolv.conf", Kind::Config(error.to_string().into())))?;
        // A list of search domains takes the place of the machine's own.
        let domains = match config.search() {
            [] => config.domain().into_iter().collect(),
            domains => domains.iter().collect::<Vec<_>>(),
        };
        let port = 53;
        let servers = config.name_servers().iter();
        Ok(Self {
            servers: servers
                .map(|server| SocketAddr::new(server.ip, port))
                .collect(),
            search: domains
                .into_iter()
                .filter_map(|domain| domain.to_ascii().parse::<Name>().ok())
                .map(|domain| domain.without_dot())
                .collect(),
            ndots: options.ndots,
            timeout: options.timeout,
            attempts: options.attempts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_matters_is_read() {
        let text = b"# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n\
            search example.com corp.example.com.\n\
            options ndots:2 timeout:3 attempts:4 rotate\n";
        let conf = SystemConf::parse(text).unwrap();
        let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53"]);
        let search: Vec<_> = conf.search.iter().map(Name::as_str).collect();
        assert_eq!(search, ["example.com", "corp.example.com"]);
        assert_eq!((conf.ndots, conf.attempts), (2, 4));
        assert_eq!(conf.timeout, Duration::from_secs(3));
    }

    #[test]
    fn without_a_server_it_is_this_machine() {
        for text in [&b"search example.com\n"[..], b"", b"# nameserver 192.0.2.1"] {
            let conf = SystemConf::parse(text).unwrap();
            assert_eq!(
                conf.servers,
                ["127.0.0.1:53".parse::<SocketAddr>().unwrap()]
            );
        }
        let conf = SystemConf::parse(b"search example.com").unwrap();
        assert_eq!(conf.search.len(), 1);
    }
}
