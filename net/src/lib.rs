//! Sockets, name resolution and an HTTP client for the Heist runtime.
//!
//! - [`TcpListener`], [`TcpStream`]: TCP, with reads that lose nothing when they are cancelled
//! - [`UdpSocket`], datagrams likewise
//! - [`UnixStream`], [`UnixListener`], [`UnixDatagram`]: Unix sockets, which carry descriptors; the rest of them in
//!   [`unix`]
//! - [`ToSocketAddrs`], [`lookup_host`]: names and addresses; [`dns`]: resolvers
//! - [`io`]: the traits of readers and writers, and what is made of them, in tokio's names
//! - `tls`: TLS over any of them, with the feature `tls`
//! - [`http`]: an HTTP client in the shape of reqwest
//! - `hyper`: an HTTP server, and hyper's own connections on Heist, with the feature `hyper`
//! - `bridge`: for libraries that call tokio's runtime inside, with the feature `bridge`
//!
//! # Cancel safety
//!
//! Every future of this crate may be dropped at any time; each says what that means. In one sentence:
//! reads and accepts lose nothing, writes of borrowed slices have written what their last `await` said,
//! and an HTTP exchange that is dropped closes its connection.

#![forbid(unsafe_code)]

mod addr;
pub mod dns;
mod ready;
mod accept;
mod halves;
mod tries;
mod tcp;
mod udp;
pub mod unix;
pub mod io;
#[cfg(feature = "tls")]
pub mod tls;
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "bridge")]
pub mod bridge;

pub use addr::{ToSocketAddrs, lookup_host};
pub use tcp::{
    OwnedReadHalf, OwnedWriteHalf, RecvBuf, ReuniteError, TcpListener, TcpListenerStream,
    TcpSocket, TcpStream,
};
pub use udp::{Segments, UdpSocket};
pub use unix::{UnixDatagram, UnixListener, UnixStream};
