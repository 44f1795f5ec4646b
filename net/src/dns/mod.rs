//! Names of hosts and their addresses, in the shape of reqwest's `dns`.
//!
//! - [`Name`]: what may be looked up at all, and what is never asked for
//! - [`Error`]: the causes told apart
//! - [`Resolve`]: to bring a resolver of one's own
//! - [`SystemResolver`]: the system's, on the blocking pool
//! - `HickoryResolver`: asks name servers itself, and remembers answers (feature `dns`)
//! - [`Overrides`]: names that are given their addresses by hand
//!
//! # Which resolver?
//!
//! [`lookup_host`](crate::lookup_host) and [`TcpStream::connect`](crate::TcpStream::connect) ask the system, and so
//! does the [`Client`](crate::http::Client) unless it is given a resolver. For a resolver of one's choice there are
//! [`TcpStream::connect_with`](crate::TcpStream::connect_with) and
//! [`ClientBuilder::dns_resolver`](crate::http::ClientBuilder::dns_resolver).

mod name;
mod error;
mod resolve;
// Answers for their time, and lookups that several callers share.
mod cache;
mod shared;
mod system;
#[cfg(feature = "dns")]
mod hickory;
mod overrides;
// Addresses as they come, for whoever connects.
mod parts;

pub use error::Error;
#[cfg(feature = "dns")]
pub use hickory::{HickoryBuilder, HickoryResolver, LookupIpStrategy};
pub use name::Name;
pub use overrides::Overrides;
pub use resolve::{Addrs, BoxError, Resolve, Resolving, ResolvingParts};
pub use system::SystemResolver;

pub(crate) use parts::{Parts, into_io};
