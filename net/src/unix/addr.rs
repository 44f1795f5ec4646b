//! Addresses of Unix sockets, as each of the crates used here has them.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use socket2::SockAddr;

/// The address of `path`, in which a leading zero byte makes the rest a name of the abstract namespace.
pub(super) fn of_path(path: &Path) -> io::Result<SocketAddr> {
    match path.as_os_str().as_bytes() {
        [0, name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(path),
    }
}

/// For binding and connecting. Only a path or a name can be bound or connected to.
pub(super) fn to_socket2(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        return SockAddr::unix(path);
    }
    let Some(name) = address.as_abstract_name() else {
        return Err(unnamed());
    };
    let mut bytes = vec![0];
    bytes.extend_from_slice(name);
    SockAddr::unix(OsStr::from_bytes(&bytes))
}

pub(super) fn from_socket2(address: &SockAddr) -> io::Result<SocketAddr> {
    if let Some(path) = address.as_pathname() {
        return SocketAddr::from_pathname(path);
    }
    if let Some(name) = address.as_abstract_namespace() {
        return SocketAddr::from_abstract_name(name);
    }
    if address.is_unix() {
        return nameless();
    }
    Err(io::Error::other("not a Unix socket"))
}

/// For sending to.
pub(super) fn to_rustix(address: &SocketAddr) -> io::Result<SocketAddrUnix> {
    if let Some(path) = address.as_pathname() {
        return Ok(SocketAddrUnix::new(path)?);
    }
    match address.as_abstract_name() {
        Some(name) => Ok(SocketAddrUnix::new_abstract_name(name)?),
        None => Err(unnamed()),
    }
}

/// Where something came from; a socket that is not bound has no name.
pub(super) fn from_rustix(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let address = address.and_then(|address| SocketAddrUnix::try_from(address).ok());
    if let Some(address) = address {
        if let Some(path) = address.path() {
            return SocketAddr::from_pathname(OsStr::from_bytes(path.to_bytes()));
        }
        if let Some(name) = address.abstract_name() {
            return SocketAddr::from_abstract_name(name);
        }
    }
    nameless()
}

/// The address of a socket that is not bound; the standard library spells it as the empty path.
fn nameless() -> io::Result<SocketAddr> {
    SocketAddr::from_pathname("")
}

fn unnamed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a Unix socket's address has neither a path nor a name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_both_ways() {
        for path in [
            "/tmp/a socket",
            "relative",
            "\0abstract",
            "\0with\0zeros",
            "\0",
        ] {
            let address = of_path(Path::new(path)).expect("it is short");
            let there = to_socket2(&address).expect("it is no empty address");
            let back = from_socket2(&there).expect("a Unix address");
            assert_eq!(format!("{back:?}"), format!("{address:?}"));
            let there = to_rustix(&address).expect("it is no empty address");
            let back = from_rustix(Some(there.into())).expect("a Unix address");
            assert_eq!(format!("{back:?}"), format!("{address:?}"));
        }
        assert!(from_rustix(None).expect("an address").is_unnamed());
        assert!(of_path(Path::new(&"x".repeat(200))).is_err());
        assert!(to_rustix(&from_rustix(None).expect("an address")).is_err());
    }
}
