//! Unix sockets and pipes (tokio: `net::unix`).
//!
//! - [`UnixStream`], [`UnixListener`]: connections; [`OwnedReadHalf`], [`OwnedWriteHalf`]: the halves of one
//! - [`UnixDatagram`], which sends and receives datagrams
//! - [`SocketAddr`], [`UCred`], [`WithFds`]: addresses, the credentials of a peer, and what is received with
//!   descriptors
//! - [`pipe`]: a stream in one direction
//!
//! Where a path is asked for, one that starts with a zero byte is a name of the abstract namespace, which has
//! no file.

mod stream;
mod split;
mod listener;
mod datagram;
mod datagram_tries;
pub mod pipe;
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
