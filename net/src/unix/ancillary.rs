//! Descriptors that travel with bytes (`SCM_RIGHTS`, see `unix(7)`).
//!
//! Both directions are one system call within one poll. What the kernel has installed is owned from there
//! on, by rustix's buffer and then by the result: there is no moment at which a drop could leak it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;

use heist_runtime::ops::SharedFd;
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SocketAddrAny, recvmsg, sendmsg, sendmsg_addr,
};

use super::addr::to_rustix;
use crate::ready::{RECV, SEND};

/// What the kernel lets through at once (`SCM_MAX_FD`).
const MOST: usize = 253;

/// What a receive with descriptors yields.
#[derive(Debug)]
#[non_exhaustive]
pub struct WithFds {
    /// How many bytes were received.
    pub len: usize,
    /// The descriptors that came with them, as a rule none. They are closed when a program is started
    /// (`O_CLOEXEC`).
    pub fds: Vec<OwnedFd>,
    /// Some more could not be opened here, because the process has too many; they are closed.
    pub fds_lost: bool,
    /// The end of the datagram did not fit.
    pub truncated: bool,
}

pub(super) fn recv(fd: &SharedFd, into: &mut [u8]) -> io::Result<(WithFds, Option<SocketAddrAny>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(fd, &mut [IoSliceMut::new(into)], &mut control, RECV)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            fds.extend(some);
        }
    }
    let found = WithFds {
        len: received.bytes,
        fds,
        fds_lost: received.flags.contains(ReturnFlags::CTRUNC),
        truncated: received.flags.contains(ReturnFlags::TRUNC),
    };
    Ok((found, received.address))
}

pub(super) fn send(
    fd: &SharedFd,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    to: Option<&SocketAddr>,
) -> io::Result<usize> {
    if fds.len() > MOST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the kernel sends at most 253 descriptors at once",
        ));
    }
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(fds));
        assert!(fits, "there is room for as many as the kernel sends");
    }
    let parts = [IoSlice::new(bytes)];
    Ok(match to {
        Some(to) => sendmsg_addr(fd, &to_rustix(to)?, &parts, &mut control, SEND)?,
        None => sendmsg(fd, &parts, &mut control, SEND)?,
    })
}
