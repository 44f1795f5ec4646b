//! More ways to receive: into growing buffers, without waiting, and by system calls of one's own.

use std::io;
use std::net::SocketAddr;

use bytes::BufMut;
use heist_runtime::ops;
use rustix::net::RecvFlags;

use super::UdpSocket;
use super::socket::{recv, recv_from};
use crate::ready::{READABLE, RECV, when};
use crate::tcp::inet;
use crate::tries::{datagram_for, own_calls, put};

/// What the length in an IP header allows for.
const LONGEST: usize = 0xffff;

/// # Receiving into buffers that grow
///
/// The datagram is copied once; [`recv_owned`](Self::recv_owned) copies nothing.
impl UdpSocket {
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
        let (_, from) = ops::recv_from_now(&self.fd, &mut datagram, 0)?;
        Ok((put(&datagram, into), inet(&from)?))
    }
}

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
