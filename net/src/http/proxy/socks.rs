//! The client's side of SOCKS as a pure state machine: bytes in, bytes out, no socket.
//!
//! SOCKS5 ([RFC 1928]) with user and password ([RFC 1929]), and SOCKS4 with its extension for names, [SOCKS4a].
//!
//! ```text
//!   SOCKS5:  Method --(no auth)--------------> Reply --> Done
//!              |                                ^
//!              +--(user and password)--> Auth --+
//!   SOCKS4:  Reply4 -------------------------> Done
//! ```
//!
//! Each state but the last has sent what it has to say, and waits for an answer whose length it knows, so no
//! byte is taken that belongs to what follows.
//!
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928
//! [RFC 1929]: https://www.rfc-editor.org/rfc/rfc1929
//! [SOCKS4a]: https://www.openssh.com/txt/socks4a.protocol

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::server::Credentials;

/// Where the proxy is to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Destination {
    Address(SocketAddr),
    /// A name that the proxy resolves.
    Name(String, u16),
}

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Version {
    V4,
    V5,
}

/// A conversation with a proxy, from the first byte until the connection is the destination's.
pub(in crate::http) struct Handshake {
    state: State,
    out: Vec<u8>,
    /// What is said once the proxy has let us in.
    request: Vec<u8>,
    login: Option<Vec<u8>>,
    /// The answer so far, shorter than `wanted`.
    answer: Vec<u8>,
    wanted: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Method,
    Auth,
    Reply,
    Reply4,
    Done,
}

/// Why a SOCKS proxy did not connect us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum SocksError {
    /// Of SOCKS4, which knows IPv4 only.
    NoIpv6,
    /// A name of more than 255 bytes, or an empty one.
    NameLength,
    /// A user of 0 or more than 255 bytes, or such a password; in SOCKS4, one with a zero byte.
    Credentials,
    /// The first byte of an answer.
    NotSocks(u8),
    /// It wants a user and password, and has got none.
    WantsCredentials,
    /// It takes none of the ways to log in that were offered.
    NoMethod,
    /// It chose a way that was not offered.
    UnknownMethod(u8),
    /// The user or password is wrong.
    Denied,
    /// The reply code of SOCKS5.
    Refused(u8),
    /// The reply code of SOCKS4.
    Refused4(u8),
    /// The type of the address in its reply.
    AddressType(u8),
    /// It closed the connection during the handshake.
    Closed,
    /// It sent bytes although it is the client that begins.
    Excess,
}

const NO_AUTH: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;

impl Handshake {
    /// A handshake whose first bytes are in [`output`](Self::output).
    pub(in crate::http) fn new(
        version: Version,
        to: &Destination,
        credentials: Option<&Credentials>,
    ) -> Result<Self, SocksError> {
        let mut handshake = Self {
            state: State::Method,
            out: Vec::new(),
            request: Vec::new(),
            login: None,
            answer: Vec::new(),
            wanted: 2,
        };
        match version {
            Version::V4 => {
                handshake.out = request_4(to, credentials)?;
                handshake.expect(State::Reply4, 8);
            }
            Version::V5 => {
                handshake.request = request_5(to)?;
                handshake.login = credentials.map(login).transpose()?;
                handshake.out = match handshake.login {
                    Some(_) => vec![5, 2, NO_AUTH, USER_PASSWORD],
                    None => vec![5, 1, NO_AUTH],
                };
            }
        }
        Ok(handshake)
    }

    /// What is to be sent before anything is received; often nothing.
    pub(in crate::http) fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(in crate::http) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes received bytes; returns how many of them belong to the handshake. It uses them all unless it is
    /// done.
    pub(in crate::http) fn receive(&mut self, input: &[u8]) -> Result<usize, SocksError> {
        let mut used = 0;
        while self.state != State::Done {
            let count = (self.wanted - self.answer.len()).min(input.len() - used);
            self.answer.extend_from_slice(&input[used..used + count]);
            used += count;
            if self.answer.len() < self.wanted {
                break;
            }
            self.advance()?;
        }
        Ok(used)
    }

    /// Reads a complete answer, or the part of it that tells how long it is.
    fn advance(&mut self) -> Result<(), SocksError> {
        match self.state {
            State::Method => self.choose(),
            State::Auth => match self.answer[1] {
                // The version in front is 1, but some proxies say 5.
                0 => {
                    self.ask();
                    Ok(())
                }
                _ => Err(SocksError::Denied),
            },
            State::Reply => self.read_reply(),
            State::Reply4 => match (self.answer[0], self.answer[1]) {
                (0, 90) => {
                    self.expect(State::Done, 0);
                    Ok(())
                }
                (0, code) => Err(SocksError::Refused4(code)),
                (version, _) => Err(SocksError::NotSocks(version)),
            },
            State::Done => Ok(()),
        }
    }

    fn choose(&mut self) -> Result<(), SocksError> {
        match (self.answer[0], self.answer[1], self.login.take()) {
            (5, NO_AUTH, _) => self.ask(),
            (5, USER_PASSWORD, Some(login)) => {
                self.out = login;
                self.expect(State::Auth, 2);
            }
            (5, USER_PASSWORD, None) | (5, NONE_ACCEPTABLE, None) => {
                return Err(SocksError::WantsCredentials);
            }
            (5, NONE_ACCEPTABLE, Some(_)) => return Err(SocksError::NoMethod),
            (5, method, _) => return Err(SocksError::UnknownMethod(method)),
            (version, ..) => return Err(SocksError::NotSocks(version)),
        }
        Ok(())
    }

    fn ask(&mut self) {
        self.out = std::mem::take(&mut self.request);
        // Version, code, a reserved byte, the type of the address, and the first byte of that, which for a name
        // is its length.
        self.expect(State::Reply, 5);
    }

    /// The address in a reply is the proxy's own end of the connection, which says nothing to us.
    fn read_reply(&mut self) -> Result<(), SocksError> {
        if self.answer[0] != 5 {
            return Err(SocksError::NotSocks(self.answer[0]));
        }
        if self.answer[1] != 0 {
            return Err(SocksError::Refused(self.answer[1]));
        }
        let address = match self.answer[3] {
            1 => 4,
            3 => 1 + usize::from(self.answer[4]),
            4 => 16,
            other => return Err(SocksError::AddressType(other)),
        };
        let length = 4 + address + 2;
        if self.wanted < length {
            self.wanted = length;
        } else {
            self.expect(State::Done, 0);
        }
        Ok(())
    }

    fn expect(&mut self, state: State, wanted: usize) {
        self.state = state;
        self.wanted = wanted;
        self.answer.clear();
    }
}

fn request_5(to: &Destination) -> Result<Vec<u8>, SocksError> {
    let mut request = vec![5, CONNECT, 0];
    let port = match to {
        Destination::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend(ip.octets());
                }
            }
            address.port()
        }
        Destination::Name(name, port) => {
            request.push(3);
            push_short(name.as_bytes(), 1, &mut request).ok_or(SocksError::NameLength)?;
            *port
        }
    };
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// SOCKS4 says the port first, and a name after the user, with an address that cannot be in front (4a).
fn request_4(to: &Destination, credentials: Option<&Credentials>) -> Result<Vec<u8>, SocksError> {
    let user = credentials.map_or(&[][..], |credentials| credentials.user());
    if user.contains(&0) || user.len() > 255 {
        return Err(SocksError::Credentials);
    }
    let (octets, port, name) = match to {
        Destination::Address(address) => match address.ip().to_canonical() {
            IpAddr::V4(ip) => (ip.octets(), address.port(), None),
            IpAddr::V6(_) => return Err(SocksError::NoIpv6),
        },
        Destination::Name(name, port) => ([0, 0, 0, 1], *port, Some(name.as_bytes())),
    };
    let mut request = vec![4, CONNECT];
    request.extend(port.to_be_bytes());
    request.extend(octets);
    request.extend(user);
    request.push(0);
    if let Some(name) = name {
        if !(1..=255).contains(&name.len()) || name.contains(&0) {
            return Err(SocksError::NameLength);
        }
        request.extend(name);
        request.push(0);
    }
    Ok(request)
}

fn login(credentials: &Credentials) -> Result<Vec<u8>, SocksError> {
    let mut login = vec![1];
    push_short(credentials.user(), 1, &mut login).ok_or(SocksError::Credentials)?;
    push_short(credentials.password(), 0, &mut login).ok_or(SocksError::Credentials)?;
    Ok(login)
}

/// Appends at most 255 bytes behind their number; `None` if there are too many, or too few.
fn push_short(bytes: &[u8], least: usize, to: &mut Vec<u8>) -> Option<()> {
    let length = u8::try_from(bytes.len()).ok()?;
    if bytes.len() < least {
        return None;
    }
    to.push(length);
    to.extend_from_slice(bytes);
    Some(())
}

impl SocksError {
    /// Whether another address of the same host may do better.
    pub(in crate::http) fn is_of_address(self) -> bool {
        matches!(
            self,
            Self::NoIpv6 | Self::Refused(3..=5 | 8) | Self::Refused4(91)
        )
    }

    /// What the user can do about it.
    pub(in crate::http) fn remedy(self) -> &'static str {
        match self {
            Self::NoIpv6 => "use a `socks5` proxy for IPv6",
            Self::NameLength => "check the host of the URL",
            Self::Credentials => "user and password have 1 to 255 bytes each",
            Self::NotSocks(_) | Self::AddressType(_) | Self::UnknownMethod(_) => {
                "check that the proxy speaks the protocol of its URL's scheme"
            }
            Self::WantsCredentials => {
                "give the proxy's user and password (`Proxy::basic_auth`, or in its URL)"
            }
            Self::NoMethod => "the proxy takes no user and password; ask who runs it how to log in",
            Self::Denied => "check the proxy's user and password",
            Self::Refused(2) | Self::Refused4(92..=93) => "the proxy's rules do not allow this",
            Self::Refused(3..=6) | Self::Refused4(91) => {
                "check the host and port, and whether the proxy can reach them"
            }
            Self::Refused(_) | Self::Refused4(_) => "check the proxy's configuration and its log",
            Self::Closed | Self::Excess => "check the proxy's address and its log",
        }
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoIpv6 => "SOCKS4 knows no IPv6 addresses",
            Self::NameLength => "SOCKS takes host names of 1 to 255 bytes",
            Self::Credentials => "SOCKS cannot carry this user or password",
            Self::NotSocks(byte) => {
                return write!(f, "the answer is not SOCKS: it begins with the byte {byte}");
            }
            Self::WantsCredentials => "the proxy wants a user and password",
            Self::NoMethod => "the proxy takes none of the ways to log in",
            Self::UnknownMethod(byte) => {
                return write!(
                    f,
                    "the proxy chose the way {byte} to log in, which it was not offered"
                );
            }
            Self::Denied => "the proxy does not know this user and password",
            Self::Refused(1) => "the proxy answered: general failure",
            Self::Refused(2) => "the proxy answered: not allowed by its rules",
            Self::Refused(3) => "the proxy answered: network unreachable",
            Self::Refused(4) => "the proxy answered: host unreachable",
            Self::Refused(5) => "the proxy answered: connection refused",
            Self::Refused(6) => "the proxy answered: time to live expired",
            Self::Refused(7) => "the proxy answered: command not supported",
            Self::Refused(8) => "the proxy answered: type of address not supported",
            Self::Refused4(91) => "the proxy answered: rejected or failed",
            Self::Refused4(92 | 93) => "the proxy answered: the user cannot be confirmed by identd",
            Self::Refused(code) | Self::Refused4(code) => {
                return write!(f, "the proxy answered with the unknown code {code}");
            }
            Self::AddressType(byte) => {
                return write!(
                    f,
                    "the proxy's answer has an address of the unknown type {byte}"
                );
            }
            Self::Closed => "the proxy closed the connection during the handshake",
            Self::Excess => "the proxy sent bytes before it was asked anything",
        };
        f.write_str(text)
    }
}

impl StdError for SocksError {}

#[cfg(test)]
#[path = "socks_tests.rs"]
mod tests;
