//! What is fetched without a proxy.

use std::net::{IpAddr, Ipv6Addr};

use ::url::{Host, Url};

/// Hosts that are connected to directly, in the form of the environment variable `NO_PROXY`.
///
/// A list separated by commas or spaces, of:
///
/// - `*`: everything;
/// - `example.com`, `.example.com` or `*.example.com`: the domain and all names below it;
/// - `192.0.2.1`, `[2001:db8::1]` or `2001:db8::1`: an address;
/// - `192.0.2.0/24` or `2001:db8::/32`: a network.
///
/// All but networks and `*` may have a port behind, which then has to be the URL's. Names are not resolved, so
/// an address or network is for URLs that name an address.
///
/// # Examples
///
/// ```
/// use heist_net::http::{NoProxy, Proxy};
///
/// let proxy = Proxy::all("http://proxy.example:3128")?
///     .no_proxy(NoProxy::from_string("localhost, .example.com, 10.0.0.0/8"));
/// # Ok::<(), heist_net::http::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    All,
    /// In lower case, without a dot in front or behind.
    Domain(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    Network(IpAddr, u8),
}

impl NoProxy {
    /// The list in the environment variable `NO_PROXY` or `no_proxy`; `None` if there is none.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        super::env::no_proxy(&super::env::variable)
    }

    /// The list of a text; `None` if it is empty. An entry that is none of the above is taken for a name that no
    /// host has.
    #[must_use]
    pub fn from_string(list: &str) -> Option<Self> {
        let parts = list.split([',', ' ', '\t']);
        let entries: Vec<_> = parts
            .filter(|part| !part.is_empty())
            .map(Entry::parse)
            .collect();
        (!entries.is_empty()).then_some(Self { entries })
    }

    /// Whether a URL is to be fetched directly.
    pub(super) fn matches(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        self.entries
            .iter()
            .any(|entry| entry.matches(url.host(), port))
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        if let Some(network) = parse_network(text) {
            return network;
        }
        if let Some(address) = parse_address(text) {
            return Self::Address(address, None);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (text, None),
            },
            None => (text, None),
        };
        if let Some(address) = parse_address(host) {
            return Self::Address(address, port);
        }
        let name = host.strip_prefix('*').unwrap_or(host);
        let name = name.trim_matches('.').to_lowercase();
        // URLs have names in Punycode.
        let name = match Host::parse(&name) {
            Ok(Host::Domain(name)) => name,
            _ => name,
        };
        Self::Domain(name, port)
    }

    fn matches(&self, host: Option<Host<&str>>, port: Option<u16>) -> bool {
        let is_port = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
        match (self, host) {
            (Self::All, _) => true,
            (Self::Domain(domain, wanted), Some(Host::Domain(host))) => {
                is_port(wanted) && is_below(host.trim_end_matches('.'), domain)
            }
            (Self::Address(address, wanted), host) => {
                is_port(wanted) && ip_of(host).is_some_and(|ip| ip == *address)
            }
            (Self::Network(network, bits), host) => {
                ip_of(host).is_some_and(|ip| is_within(ip, *network, *bits))
            }
            (Self::Domain(..), _) => false,
        }
    }
}

/// Whether a name is `domain` or below it.
fn is_below(name: &str, domain: &str) -> bool {
    match name.strip_suffix(domain) {
        Some(front) => !domain.is_empty() && (front.is_empty() || front.ends_with('.')),
        None => false,
    }
}

fn ip_of(host: Option<Host<&str>>) -> Option<IpAddr> {
    match host? {
        Host::Ipv4(address) => Some(address.into()),
        // One that is IPv4 in disguise is what it is.
        Host::Ipv6(address) => Some(IpAddr::from(address).to_canonical()),
        Host::Domain(_) => None,
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => text,
    };
    bare.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

fn parse_network(text: &str) -> Option<Entry> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some(Entry::Network(address, bits))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    if address.is_ipv4() != network.is_ipv4() {
        return false;
    }
    // Both in 128 bits, from the left.
    let whole = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(Ipv6Addr::from(address.octets())),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    (whole(address) ^ whole(network)) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_directly() {
        for (list, url, expected) in [
            ("*", "http://h/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "https://EXAMPLE.com:81/", true),
            ("example.com", "http://a.b.example.com/", true),
            ("example.com", "http://example.com./", true),
            ("example.com", "http://badexample.com/", false),
            ("example.com", "http://example.com.evil/", false),
            (".example.com", "http://a.example.com/", true),
            (".example.com", "http://example.com/", true),
            ("*.Example.com", "http://a.example.com/", true),
            ("b\u{fc}cher.example", "http://b\u{fc}cher.example/", true),
            ("example.com:8080", "http://example.com:8080/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:80", "http://example.com/", true),
            ("a, b ,c", "http://b/", true),
            ("a b\tc", "http://c/", true),
            (".", "http://h/", false),
            ("192.0.2.1", "http://192.0.2.1:81/", true),
            ("192.0.2.1", "http://192.0.2.11/", false),
            ("192.0.2.1:80", "http://192.0.2.1/", true),
            ("192.0.2.1:80", "http://192.0.2.1:81/", false),
            ("192.0.2.1", "http://[::ffff:192.0.2.1]/", true),
            ("2.1", "http://192.0.2.1/", false),
            ("::1", "http://[::1]/", true),
            ("[::1]:81", "http://[::1]:81/", true),
            ("[::1]:81", "http://[::1]/", false),
            ("10.0.0.0/8", "http://10.255.0.1/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("192.0.2.128/25", "http://192.0.2.127/", false),
            ("192.0.2.128/25", "http://192.0.2.129/", true),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("0.0.0.0/0", "http://[2001:db8::1]/", false),
            ("192.0.2.1/32", "http://192.0.2.1/", true),
            ("192.0.2.1/33", "http://192.0.2.1/", false),
            ("2001:db8::/32", "http://[2001:db8:1::1]/", true),
            ("2001:db8::/32", "http://[2001:db9::1]/", false),
            ("::/0", "http://[2001:db9::1]/", true),
            ("10.0.0.0/8", "http://ten.example/", false),
            ("[", "http://h/", false),
        ] {
            let no_proxy = NoProxy::from_string(list).unwrap();
            assert_eq!(
                no_proxy.matches(&Url::parse(url).unwrap()),
                expected,
                "{list} {url}"
            );
        }
        assert_eq!(NoProxy::from_string(" , "), None);
    }
}
