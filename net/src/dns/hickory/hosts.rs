//! The file of hosts, `hosts(5)`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::name::Name;

/// Addresses by name.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    names: HashMap<Name, Vec<IpAddr>>,
}

impl Hosts {
    /// Reads lines of an address and its names. What is neither is skipped, as the system does.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut hosts = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let mut words = line.split_ascii_whitespace();
            // The zone of a link-local address is not kept: `fe80::1%eth0`.
            let address = words.next().and_then(|word| word.split('%').next());
            let Some(address) = address.and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words.filter_map(|word| word.parse::<Name>().ok()) {
                let addresses = hosts.names.entry(name.without_dot()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a name. The system asks nobody else for the other family, and neither do we.
    pub(super) fn get(&self, name: &Name) -> Option<&[IpAddr]> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(&name.without_dot()).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_an_address_and_its_names() {
        let text = b"127.0.0.1 localhost\n\
            # 10.0.0.1 commented\n\
            10.0.0.2\tDB.example db # the database\r\n\
            ::2 db.example\n\
            10.0.0.2 db\n\
            10.0.0.3 db\n\
            fe80::1%eth0 link\n\
            nonsense here\n\
            \xff\xfe 1\n\
            10.0.0.4\n\
            10.0.0.5 bad..name good";
        let hosts = Hosts::parse(text);
        let get = |name: &str| {
            let addresses = hosts.get(&name.parse().unwrap()).unwrap_or_default();
            let text: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            text.join(" ")
        };
        assert_eq!(get("localhost"), "127.0.0.1");
        assert_eq!(get("db.EXAMPLE."), "10.0.0.2 ::2");
        assert_eq!(get("db"), "10.0.0.2 10.0.0.3");
        assert_eq!(get("link"), "fe80::1");
        assert_eq!(get("good"), "10.0.0.5");
        for absent in ["commented", "here", "the", "database", "bad"] {
            assert_eq!(get(absent), "", "{absent}");
        }
    }
}
