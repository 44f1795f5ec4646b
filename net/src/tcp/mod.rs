//! TCP.
//!
//! - [`listener`]: accepting connections; [`incoming`]: as a stream
//! - [`stream`]: one connection, and [`split`]: its two halves
//! - [`io`]: what reading and writing have in common

mod listener;
mod incoming;
mod stream;
mod split;
pub(crate) mod io;

pub use incoming::TcpListenerStream;
pub use io::RecvBuf;
pub use listener::TcpListener;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::TcpStream;
pub(crate) use stream::inet;
