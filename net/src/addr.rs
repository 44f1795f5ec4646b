//! Names and addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use heist_runtime::spawn_blocking;

/// Something that stands for one or more socket addresses: an address itself, or a host name with a
/// port, which is resolved off the workers.
///
/// Implemented for what `std::net::ToSocketAddrs` is (tokio: the trait of the same name). It is sealed.
pub trait ToSocketAddrs: sealed::Sealed {
    /// Resolves to the addresses.
    #[doc(hidden)]
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// The address, if it is one already: nothing is to be resolved, nor allocated.
    #[doc(hidden)]
    fn literal(&self) -> Option<SocketAddr> {
        None
    }
}

mod sealed {
    /// Keeps the trait to this crate.
    #[expect(unnameable_types, reason = "sealed")]
    pub trait Sealed {}
}

macro_rules! ready {
    ($($type:ty),* $(,)?) => {$(
        impl sealed::Sealed for $type {}

        impl ToSocketAddrs for $type {
            fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
                std::future::ready(Ok(vec![SocketAddr::from(self)]))
            }

            fn literal(&self) -> Option<SocketAddr> {
                Some(SocketAddr::from(*self))
            }
        }
    )*};
}

ready! {
    SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16),
}

impl sealed::Sealed for &SocketAddr {}

impl ToSocketAddrs for &SocketAddr {
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        (*self).resolve()
    }

    fn literal(&self) -> Option<SocketAddr> {
        Some(**self)
    }
}

impl sealed::Sealed for &[SocketAddr] {}

impl ToSocketAddrs for &[SocketAddr] {
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        std::future::ready(Ok(self.to_vec()))
    }
}

impl sealed::Sealed for (&str, u16) {}

impl ToSocketAddrs for (&str, u16) {
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        let (host, port) = self;
        let literal = host.parse::<IpAddr>().ok();
        let host = host.to_owned();
        async move {
            match literal {
                Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
                None => {
                    look_up(move || std::net::ToSocketAddrs::to_socket_addrs(&(&*host, port))).await
                }
            }
        }
    }
}

impl sealed::Sealed for (String, u16) {}

impl ToSocketAddrs for (String, u16) {
    async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        (&*self.0, self.1).resolve().await
    }
}

impl sealed::Sealed for &str {}

impl ToSocketAddrs for &str {
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        let literal = self.parse::<SocketAddr>().ok();
        let host = self.to_owned();
        async move {
            match literal {
                Some(address) => Ok(vec![address]),
                None => look_up(move || std::net::ToSocketAddrs::to_socket_addrs(&*host)).await,
            }
        }
    }
}

impl sealed::Sealed for String {}

impl ToSocketAddrs for String {
    async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        (&*self).resolve().await
    }
}

impl sealed::Sealed for &String {}

impl ToSocketAddrs for &String {
    fn resolve(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        (&**self).resolve()
    }
}

/// The first address that `to` stands for; `what` is for the error when there is none.
pub(crate) async fn first_of(to: impl ToSocketAddrs, what: &str) -> io::Result<SocketAddr> {
    if let Some(address) = to.literal() {
        return Ok(address);
    }
    let addresses = to.resolve().await?;
    addresses.first().copied().ok_or_else(|| no_address(what))
}

/// The error of an operation whose name stands for nothing.
pub(crate) fn no_address(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what}: the name has no address"),
    )
}

/// Asks the system's resolver on the blocking pool.
async fn look_up(
    resolve: impl FnOnce() -> io::Result<std::vec::IntoIter<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    match spawn_blocking(resolve).await {
        Ok(addresses) => addresses.map(Iterator::collect),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Resolves `host`, which includes a port, with the system's resolver (`getaddrinfo(3)`) on the blocking
/// pool (asyncio: `getaddrinfo`; tokio: `lookup_host`). For other resolvers, and a bound of the threads that lookups take,
/// see [`dns`](crate::dns).
///
/// # Errors
///
/// When the name is unknown or malformed, or the resolver fails.
///
/// # Cancel safety
///
/// Dropping it leaves the lookup to finish on its thread, unheard.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// let addresses: Vec<_> = heist_net::lookup_host("127.0.0.1:80").await?.collect();
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    let addresses = host.resolve().await?;
    Ok(addresses.into_iter())
}
