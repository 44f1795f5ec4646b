//! What is set and asked at a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::UdpSocket;
use crate::tcp::inet;

impl UdpSocket {
    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(&self.socket().local_addr()?)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected` when there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet(&self.socket().peer_addr()?)
    }

    /// Allows sending to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.socket().set_broadcast(on)
    }

    /// Whether sending to broadcast addresses is allowed.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket().broadcast()
    }

    /// Hops an IPv4 datagram may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket().set_ttl_v4(hops)
    }

    /// Hops an IPv4 datagram may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().ttl_v4()
    }

    /// Hops an IPv4 multicast datagram may take (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        self.socket().set_multicast_ttl_v4(hops)
    }

    /// Hops an IPv4 multicast datagram may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket().multicast_ttl_v4()
    }

    /// Hops an IPv6 multicast datagram may take (`IPV6_MULTICAST_HOPS`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.socket().set_multicast_hops_v6(hops)
    }

    /// Hops an IPv6 multicast datagram may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        self.socket().multicast_hops_v6()
    }

    /// Whether this machine hears its own IPv4 multicast datagrams (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.socket().set_multicast_loop_v4(on)
    }

    /// Whether this machine hears its own IPv4 multicast datagrams.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket().multicast_loop_v4()
    }

    /// Whether this machine hears its own IPv6 multicast datagrams (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.socket().set_multicast_loop_v6(on)
    }

    /// Whether this machine hears its own IPv6 multicast datagrams.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket().multicast_loop_v6()
    }

    /// Bytes of what has arrived that the kernel keeps; it doubles the figure and has a maximum (`SO_RCVBUF`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket().set_recv_buffer_size(bytes)
    }

    /// Bytes of what has arrived that the kernel keeps, as the kernel counts them: twice what was set.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket().recv_buffer_size()
    }

    /// Bytes of what is to be sent that the kernel keeps; it doubles the figure and has a maximum (`SO_SNDBUF`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.socket().set_send_buffer_size(bytes)
    }

    /// Bytes of what is to be sent that the kernel keeps, as the kernel counts them: twice what was set.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket().send_buffer_size()
    }

    /// Receives what is sent to the multicast `group` at
    /// the interface with this address, or any for `UNSPECIFIED` (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket().join_multicast_v4(&group, &interface)
    }

    /// No longer receives what is sent to the multicast `group` at
    /// the interface with this address, or any for `UNSPECIFIED` (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket().leave_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to the multicast `group` at
    /// the interface with this index, or any for 0 (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket().join_multicast_v6(&group, interface)
    }

    /// No longer receives what is sent to the multicast `group` at
    /// the interface with this index, or any for 0 (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket().leave_multicast_v6(&group, interface)
    }

    /// The error that waits at the socket, taken from it (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }
}
