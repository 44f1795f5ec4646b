//! Unix sockets.
//!
//! - [`stream`]: one connection, and [`split`]: its two halves
//! - [`listener`], [`datagram`]: accepting connections, and datagrams
//! - [`ancillary`]: descriptors that travel with bytes; [`patience`]: when to try again; [`addr`]:
//!   addresses

mod stream;
mod split;
mod listener;
mod datagram;
mod ancillary;
mod patience;
mod addr;

pub use ancillary::WithFds;
pub use datagram::UnixDatagram;
pub use heist_runtime::ops::Credentials as UCred;
pub use listener::UnixListener;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use std::os::unix::net::SocketAddr;
pub use stream::UnixStream;
