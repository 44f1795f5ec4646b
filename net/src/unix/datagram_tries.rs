//! More ways to send and receive datagrams: without waiting, into growing buffers, and by system calls of one's own.

use std::future::Future;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use bytes::BufMut;
use heist_runtime::ops;
use rustix::buffer::spare_capacity;
use rustix::net::{SocketAddrUnix, recvfrom};

use super::UnixDatagram;
use super::addr::{from_rustix, of_path, to_rustix};
use crate::ready::{READABLE, RECV, SEND, WRITABLE, until, when};
use crate::tries::{datagram_for, own_calls, put};

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

/// # Receiving into buffers that grow
///
/// The datagram is copied once; [`recv_owned`](Self::recv_owned) copies nothing, and has no limit of 256 KiB.
impl UnixDatagram {
    /// Waits for a datagram and appends it to `into`. Yields how many bytes; what `into` has no room for is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a datagram is taken only by a call that returns it.
    pub async fn recv_buf<B: BufMut + Send>(&self, into: &mut B) -> io::Result<usize> {
        when(&self.fd, READABLE, |_| self.try_recv_buf(into)).await
    }

    /// As [`recv_buf`](Self::recv_buf), of what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of [`recv`](Self::recv).
    pub fn try_recv_buf<B: BufMut>(&self, into: &mut B) -> io::Result<usize> {
        let mut datagram = datagram_for(into, LONGEST);
        ops::recv_now(&self.fd, &mut datagram, 0)?;
        Ok(put(&datagram, into))
    }

    /// As [`recv_buf`](Self::recv_buf), with the address of the sender.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a datagram is taken only by a call that returns it.
    pub async fn recv_buf_from<B: BufMut + Send>(
        &self,
        into: &mut B,
    ) -> io::Result<(usize, SocketAddr)> {
        when(&self.fd, READABLE, |_| self.try_recv_buf_from(into)).await
    }

    /// As [`recv_buf_from`](Self::recv_buf_from), of what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of [`recv_from`](Self::recv_from).
    pub fn try_recv_buf_from<B: BufMut>(&self, into: &mut B) -> io::Result<(usize, SocketAddr)> {
        let mut datagram = datagram_for(into, LONGEST);
        let (_, _, from) = recvfrom(&self.fd, spare_capacity(&mut datagram), RECV)?;
        Ok((put(&datagram, into), from_rustix(from)?))
    }
}

own_calls!(UnixDatagram);
