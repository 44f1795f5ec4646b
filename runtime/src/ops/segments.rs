//! Several datagrams in one system call: cut by the kernel (`UDP_SEGMENT`), and put together by it (`UDP_GRO`). See
//! `udp(7)`.
//!
//! As the other calls that do not wait, these have taken or sent nothing until they return.

#![expect(unsafe_code, reason = "system calls with control messages")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use socket2::SockAddr;

use crate::ops::SharedFd;

/// Room for control messages, aligned as their headers want it.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; 128]);

const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

impl Control {
    const fn new() -> Self {
        Self([MaybeUninit::new(0); 128])
    }
}

/// What has been received by [`recv_segments_now`].
#[derive(Debug)]
pub struct ReceivedSegments {
    /// Bytes of all datagrams.
    pub len: usize,
    /// Bytes of each but the last, if the kernel put several together.
    pub segment: Option<usize>,
    /// The end did not fit.
    pub truncated: bool,
    /// The sender.
    pub from: SockAddr,
}

/// The header of a message without an address.
fn header(vector: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: a plain C structure for which zero is a valid value.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    header
}

/// Sends `bytes` as datagrams of `segment` bytes each, of which the last may be shorter, to `to` or the connected address
/// (`sendmsg(2)` with `MSG_DONTWAIT`). All or none are taken; the kernel takes up to 64.
///
/// # Errors
///
/// `WouldBlock` when there is no room. `EIO` when the network device cannot do it; `EINVAL` and `EMSGSIZE` when the
/// segments are too many or too long; and those of `sendmsg(2)`.
pub fn send_segments_now(
    fd: &SharedFd,
    bytes: &[u8],
    segment: u16,
    to: Option<&SockAddr>,
) -> io::Result<usize> {
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control::new();
    let mut header = header(&mut vector);
    if let Some(to) = to {
        header.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_namelen = to.len();
    }
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: only arithmetic.
    let space = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) };
    header.msg_controllen = space as _;
    // SAFETY: the header's control buffer is there, and longer than one message.
    let message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    // SAFETY: the first message lies in the control buffer, which is aligned and zeroed.
    let fields = unsafe { &mut *message };
    fields.cmsg_level = libc::SOL_UDP;
    fields.cmsg_type = libc::UDP_SEGMENT;
    // SAFETY: only arithmetic.
    fields.cmsg_len = unsafe { libc::CMSG_LEN(size_of::<u16>() as u32) } as _;
    // SAFETY: the data of the first message lies in the control buffer.
    let data = unsafe { libc::CMSG_DATA(message) };
    // SAFETY: there is room for two bytes, as was asked for above.
    unsafe { data.cast::<u16>().write_unaligned(segment) };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: what the header points to, the bytes, the address and the control buffer, outlives the call, which only
    // reads it.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives a datagram, or several of one sender that the kernel has put together (`recvmsg(2)` with `MSG_DONTWAIT`; see
/// [`set_gro`]).
///
/// # Errors
///
/// `WouldBlock` when there is nothing, and those of `recvmsg(2)`.
pub fn recv_segments_now(fd: &SharedFd, into: &mut [u8]) -> io::Result<ReceivedSegments> {
    let mut vector = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let mut control = Control::new();
    let mut address = socket2::SockAddrStorage::zeroed();
    let mut header = header(&mut vector);
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = address.size_of();
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to the bytes, the address and the control buffer, all writable and nobody else's, with
    // their lengths.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) };
    let len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written an address of this length there.
    let from = unsafe { SockAddr::new(address, header.msg_namelen) };
    Ok(ReceivedSegments {
        len,
        segment: segment_of(&header),
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        from,
    })
}

/// What the kernel says about the length of the datagrams in a message that was received.
fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the header's control buffer holds so many bytes of messages as the kernel has said.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: it lies in the control buffer, aligned, and is zeroed or written by the kernel.
        let fields = unsafe { &*message };
        if fields.cmsg_level == libc::SOL_UDP && fields.cmsg_type == libc::UDP_GRO {
            // SAFETY: the data of a message in the control buffer.
            let data = unsafe { libc::CMSG_DATA(message) };
            // SAFETY: the data of a message of this type is an `int`.
            let segment = unsafe { data.cast::<libc::c_int>().read_unaligned() };
            return usize::try_from(segment).ok().filter(|&segment| segment > 0);
        }
        // SAFETY: as for the first one.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// Whether the kernel cuts what is sent at `fd` into datagrams (`UDP_SEGMENT`, Linux 4.18).
#[must_use]
pub fn has_segmentation(fd: &SharedFd) -> bool {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers lead to an `int` and its length.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    result == 0
}

/// Whether datagrams of one sender are put together on their way to `fd` (`UDP_GRO`, Linux 5.0).
///
/// # Errors
///
/// Those of `setsockopt(2)`: `ENOPROTOOPT` when the kernel cannot.
pub fn set_gro(fd: &SharedFd, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: the pointer leads to an `int`.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
