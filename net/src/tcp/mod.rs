//! TCP.
//!
//! - [`socket`]: a socket before it listens or connects
//! - [`listener`]: accepting connections; [`incoming`]: as a stream
//! - [`stream`]: one connection, and [`split`]: its two halves; [`connect`]: which address to use
//! - [`io`]: what reading and writing have in common

mod socket;
mod listener;
mod incoming;
mod stream;
mod connect;
mod split;
pub(crate) mod io;

pub use incoming::TcpListenerStream;
pub use io::RecvBuf;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::TcpStream;
pub(crate) use stream::inet;
