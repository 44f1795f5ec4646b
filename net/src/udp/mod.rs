//! UDP.
//!
//! - [`socket`]: sending and receiving datagrams
//! - [`tries`]: receiving into buffers that grow, looking, and system calls of one's own
//! - [`segments`]: many datagrams in one system call
//! - [`options`]: what is set and asked at a socket

mod socket;
mod tries;
mod segments;
mod options;

pub use segments::Segments;
pub use socket::UdpSocket;
