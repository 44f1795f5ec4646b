//! UDP.
//!
//! - [`socket`]: sending and receiving datagrams
//! - [`options`]: what is set and asked at a socket

mod socket;
mod options;

pub use socket::UdpSocket;
