//! More ways to receive: into growing buffers, without waiting, and by system calls of one's own.

use std::io;
use std::net::SocketAddr;

use heist_runtime::ops;
use rustix::net::RecvFlags;

use super::UdpSocket;
use super::socket::{recv, recv_from};
use crate::ready::RECV;
use crate::tcp::inet;
use crate::tries::{grow, own_calls};

/// What the length in an IP header allows for.
const LONGEST: usize = 0xffff;

grow!(UdpSocket, SocketAddr, LONGEST, "", |fd, datagram| {
    let (_, from) = ops::recv_from_now(fd, datagram, 0)?;
    inet(&from)
});

/// # Looking without waiting
impl UdpSocket {
    /// As [`try_recv`](Self::try_recv), and leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_peek(&self, into: &mut [u8]) -> io::Result<usize> {
        recv(&self.fd, into, RECV.union(RecvFlags::PEEK))
    }

    /// As [`try_recv_from`](Self::try_recv_from), and leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_peek_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        recv_from(&self.fd, into, RECV.union(RecvFlags::PEEK))
    }
}

own_calls!(UdpSocket);
