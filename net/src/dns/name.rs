//! Names of hosts, and those of them that are never asked for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use super::error::{Error, Kind};

/// The most characters of a name, without a dot at its end ([RFC 1035], section 3.1).
///
/// [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
const LONGEST_NAME: usize = 253;

/// The most characters between two dots.
const LONGEST_LABEL: usize = 63;

/// The name of a host, in lower case. Clones share the text.
///
/// It has at most 253 characters, and 1 to 63 of them between two dots: visible ASCII. A dot at the end means that no
/// search domain is to be tried. Addresses in text form are names too, and stand for themselves.
///
/// ```
/// use heist_net::dns::Name;
///
/// let name: Name = "Example.COM".parse()?;
/// assert_eq!(name.as_str(), "example.com");
/// assert!("two words".parse::<Name>().is_err());
/// # Ok::<(), heist_net::dns::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    text: Arc<str>,
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it ends in a dot, so that no search domain is tried.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        self.text.ends_with('.')
    }

    /// The same name without a dot at its end.
    pub(super) fn without_dot(&self) -> Self {
        match self.text.strip_suffix('.') {
            Some(text) => Self { text: text.into() },
            None => self.clone(),
        }
    }

    /// The name within `domain`; `None` if that is too long.
    #[cfg(feature = "dns")]
    pub(super) fn within(&self, domain: &Self) -> Option<Self> {
        format!("{}.{}", self.text, domain.text).parse().ok()
    }

    /// What the name stands for without asking anybody.
    pub(super) fn known(&self) -> Option<Known> {
        let text = self.text.strip_suffix('.').unwrap_or(&self.text);
        // Only what ends in a digit or has a colon can be an address.
        if text.ends_with(|last: char| last.is_ascii_digit()) || text.contains(':') {
            return text.parse().ok().map(Known::Address);
        }
        match text.rsplit('.').next() {
            Some("localhost") => Some(Known::Loopback),
            Some("invalid" | "onion") => Some(Known::Nothing),
            _ => None,
        }
    }
}

/// What some names stand for by definition ([RFC 6761], [RFC 7686]).
///
/// [RFC 6761]: https://www.rfc-editor.org/rfc/rfc6761
/// [RFC 7686]: https://www.rfc-editor.org/rfc/rfc7686
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// An address in text form stands for itself.
    Address(IpAddr),
    /// `localhost`, and whatever is within it.
    Loopback,
    /// `.invalid` and `.onion`, which no name server is to hear of.
    Nothing,
}

impl Known {
    /// The addresses, IPv6 first.
    pub(super) fn addresses(self, name: &Name) -> Result<Vec<IpAddr>, Error> {
        match self {
            Self::Address(address) => Ok(vec![address]),
            Self::Loopback => Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
            Self::Nothing => Err(Error::new(name.as_str(), Kind::NeverAsked)),
        }
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why| Err(Error::new(text, Kind::InvalidName(why)));
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        if trimmed.is_empty() {
            return refuse("it is empty");
        }
        if trimmed.len() > LONGEST_NAME {
            return refuse("it has more than 253 characters");
        }
        if !text.is_ascii() {
            return refuse("it is not ASCII; encode it first (IDNA, \"xn--...\")");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("it has a space or a control character");
        }
        for label in trimmed.split('.') {
            if label.is_empty() {
                return refuse("it has two dots in a row, or one at its start");
            }
            if label.len() > LONGEST_LABEL {
                return refuse("it has more than 63 characters between two dots");
            }
        }
        let text = text.to_ascii_lowercase().into();
        Ok(Self { text })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_or_say_what_is_wrong() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", &label[..61]);
        assert_eq!(longest.len(), 253);
        let absolute = format!("{longest}.");
        for good in [
            "a",
            "example.com",
            "example.com.",
            "_sip._tcp.example",
            "xn--bcher-kva.example",
            "1.2.3.4",
            "::1",
            &longest,
            &absolute,
        ] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let too_long = format!("a{longest}");
        let long_label = format!("{label}a.example");
        for (bad, why) in [
            ("", "empty"),
            (".", "empty"),
            ("a b", "space"),
            ("a\0b", "control"),
            ("a\n", "control"),
            ("bücher.example", "IDNA"),
            ("a..b", "two dots"),
            (".a", "at its start"),
            ("a..", "two dots"),
            (&*too_long, "253"),
            (&*long_label, "63"),
        ] {
            let error = bad.parse::<Name>().unwrap_err();
            assert!(error.is_invalid_name(), "{bad}");
            assert!(error.to_string().contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn special_names_need_no_server() {
        let known = |text: &str| text.parse::<Name>().unwrap().known();
        for name in ["localhost", "LOCALHOST.", "a.localhost", "b.a.localhost."] {
            assert_eq!(known(name), Some(Known::Loopback), "{name}");
        }
        for name in ["invalid", "a.invalid.", "abc.onion"] {
            assert_eq!(known(name), Some(Known::Nothing), "{name}");
        }
        for address in ["127.0.0.1", "::1", "1.2.3.4."] {
            assert!(
                matches!(known(address), Some(Known::Address(_))),
                "{address}"
            );
        }
        for name in ["example.com", "localhost.example", "xlocalhost", "host1"] {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
