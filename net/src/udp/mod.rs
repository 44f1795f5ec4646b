//! UDP.
//!
//! - [`socket`]: sending and receiving datagrams
//! - [`tries`]: receiving into buffers that grow, looking, and system calls of one's own
//! - [`options`]: what is set and asked at a socket

mod socket;
mod tries;
mod options;

pub use socket::UdpSocket;
