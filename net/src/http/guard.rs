//! Which addresses a crawler has no business with (SSRF).
//!
//! The check is made on the very address that is connected to, after name resolution and at every
//! redirect, so neither a name that resolves to a private address nor one that changes
//! between two look-ups gets past it. What only the network knows it cannot see: public addresses that lead into it, and
//! a prefix of its own for NAT64 (RFC 6052).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is publicly routable unicast, as opposed to this machine, the local network,
/// a cloud's metadata service, or nothing at all. Follows the IANA special-purpose registries.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether a name stands for this machine wherever it is resolved (RFC 6761, section 6.3).
pub(super) fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared by carriers behind NAT (RFC 6598).
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        // Relays of 6to4, which go who knows where (RFC 7526).
        || (a == 192 && b == 88 && c == 99)
        // A public address, at which a machine of Azure's finds the platform that it runs on.
        || [a, b, c, d] == [168, 63, 129, 16]
        // Benchmarking (RFC 2544).
        || (a == 198 && b & 0xfe == 18)
        // Multicast, reserved, broadcast.
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    // Addresses that carry an IPv4 address inside are as public as that one: v4-mapped, the old
    // v4-compatible form, NAT64 and 6to4.
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // ISATAP (RFC 5214): a router of the site sends it to that IPv4 address.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] if !embedded(high, low) => false,
        // Documentation; and what the IETF has reserved (2001::/23), among it Teredo, whose tunnels end anywhere.
        [0x2001, 0xdb8 | 0..=0x1ff, ..] | [0x3fff, ..] => false,
        // Global unicast is 2000::/3; local, link-local and multicast are outside it.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn rule_9_private_addresses_in_all_their_disguises() {
        for private in [
            "127.0.0.1",
            "127.255.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "168.63.129.16",
            "203.0.113.5",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::ffff:0:127.0.0.1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:127.0.0.1",
            "fe80::5efe:8.8.8.8",
            "fd00:ec2::254",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff::1",
            "3fff::1",
            "5f00::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
        ] {
            assert!(!public(private), "{private}");
        }
    }

    #[test]
    fn rule_9_public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::",
            "2001:200::1",
            "2001:4860::1",
            "2606:4700::5efe:8.8.8.8",
            "168.63.129.15",
            "192.88.98.1",
        ] {
            assert!(public(address), "{address}");
        }
    }
}
