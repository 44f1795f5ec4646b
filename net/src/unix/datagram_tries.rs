//! More ways to send and receive datagrams: without waiting, into growing buffers, and by system calls of one's own.

use std::future::Future;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::net::{SocketAddrUnix, recvfrom};

use super::UnixDatagram;
use super::addr::{from_rustix, of_path, to_rustix};
use crate::ready::{READABLE, RECV, SEND, WRITABLE, until};
use crate::tries::{grow, own_calls};

/// # Without waiting
impl UnixDatagram {
    /// Sends to the socket at `path` at once, or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the receiver has too many, and those of [`send_to`](Self::send_to).
    pub fn try_send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to: SocketAddrUnix = to_rustix(&of_path(path.as_ref())?)?;
        Ok(rustix::net::sendto(&self.fd, bytes, SEND, &to)?)
    }

    /// Receives what is there with the address of the sender, and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of [`recv_from`](Self::recv_from).
    pub fn try_recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, _, from) = recvfrom(&self.fd, into, RECV)?;
        Ok((count, from_rustix(from)?))
    }

    /// Waits until there is something to receive, or an error. Another task may be quicker to take it.
    ///
    /// # Errors
    ///
    /// Those of the ring.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + Unpin {
        until(&self.fd, READABLE)
    }

    /// Waits until there is room to send to the connected address, or an error.
    ///
    /// # Errors
    ///
    /// Those of the ring.
    ///
    /// # Cancel safety
    ///
    /// It sends nothing.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + Unpin {
        until(&self.fd, WRITABLE)
    }
}

/// Most that a datagram can have, unless an administrator allows for more: sockets buffer 208 KiB.
const LONGEST: usize = 256 * 1024;

grow!(
    UnixDatagram,
    SocketAddr,
    LONGEST,
    ", and has no limit of 256 KiB",
    |fd, datagram| {
        let (_, _, from) = recvfrom(fd, spare_capacity(datagram), RECV)?;
        from_rustix(from)
    }
);

own_calls!(UnixDatagram);
