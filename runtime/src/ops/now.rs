//! System calls on sockets that do not wait: setting one up, and what no safe crate does with owned buffers.
//!
//! With [`poll_ready`](super::poll_ready) between two tries they lose nothing when a future is dropped:
//! until it returns, nothing has been taken from the socket.

#![expect(unsafe_code, reason = "system calls into memory of the caller's")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::ops::{IoBufMut, SharedFd};

/// Makes a socket (`socket(2)` with `SOCK_CLOEXEC`). It blocks, as rings want it: operations on it wait in the
/// kernel.
///
/// # Errors
///
/// Those of `socket(2)`.
pub fn socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<SharedFd> {
    Socket::new(domain, kind, protocol).map(|socket| SharedFd::new(socket.into()))
}

/// Gives the socket `fd` its address (`bind(2)`).
///
/// # Errors
///
/// Those of `bind(2)`.
pub fn bind(fd: &SharedFd, address: &SockAddr) -> io::Result<()> {
    SockRef::from(fd).bind(address)
}

/// Has the socket `fd` take connections, of which at most `backlog` wait to be accepted (`listen(2)`).
///
/// # Errors
///
/// Those of `listen(2)`.
pub fn listen(fd: &SharedFd, backlog: i32) -> io::Result<()> {
    SockRef::from(fd).listen(backlog)
}

/// The whole of a buffer, as a system call fills it.
fn room<B: IoBufMut>(buffer: &mut B) -> &mut [MaybeUninit<u8>] {
    let length = buffer.capacity();
    let start = buffer.stable_mut_ptr().cast();
    // SAFETY: `IoBufMut` promises so many writable bytes there, and the buffer is borrowed for as long.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
}

/// Receives into the whole of `buffer`, from its start, what is there (`recv(2)` with `flags` and
/// `MSG_DONTWAIT`). Yields how many bytes.
///
/// # Errors
///
/// `WouldBlock` when there is nothing, and those of `recv(2)`. The buffer is as it was.
pub fn recv_now<B: IoBufMut>(fd: &SharedFd, buffer: &mut B, flags: i32) -> io::Result<usize> {
    let socket = SockRef::from(fd);
    let count = socket.recv_with_flags(room(buffer), flags | libc::MSG_DONTWAIT)?;
    // SAFETY: the kernel wrote so many bytes.
    unsafe { buffer.set_init(count) };
    Ok(count)
}

/// As [`recv_now`], with the address of the sender (`recvfrom(2)`).
///
/// # Errors
///
/// As there.
pub fn recv_from_now<B: IoBufMut>(
    fd: &SharedFd,
    buffer: &mut B,
    flags: i32,
) -> io::Result<(usize, SockAddr)> {
    let socket = SockRef::from(fd);
    let (count, from) = socket.recv_from_with_flags(room(buffer), flags | libc::MSG_DONTWAIT)?;
    // SAFETY: the kernel wrote so many bytes.
    unsafe { buffer.set_init(count) };
    Ok((count, from))
}

/// Who has made the other end of a Unix socket; see [`peer_credentials`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process; 0 when it is not visible from this PID namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Who connected, listened or made the pair, as the kernel noted it then (`SO_PEERCRED`).
///
/// # Errors
///
/// Those of `getsockopt(2)`; `NotConnected` when there is no other end.
pub fn peer_credentials(fd: &SharedFd) -> io::Result<Credentials> {
    let mut found = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers lead to a `ucred` and its length.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let libc::ucred { pid, uid, gid } = found;
    if uid == u32::MAX {
        return Err(io::ErrorKind::NotConnected.into());
    }
    Ok(Credentials { pid, uid, gid })
}
