//! The system calls behind the operations. A result is what a completion says: a count or descriptor, or a
//! negated errno. What a signal interrupts is called again.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::RawFd;

use super::entry::Sqe;

/// The offset that stands for the file's own position.
const OWN_POSITION: u64 = u64::MAX;

fn errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

/// Calls until no signal interrupts.
fn outcome(mut call: impl FnMut() -> i64) -> i32 {
    loop {
        let result = call();
        if result >= 0 {
            // No call here moves more than `i32::MAX` bytes, since the lengths are limited.
            return i32::try_from(result).unwrap_or(i32::MAX);
        }
        match errno() {
            libc::EINTR => {}
            error => return -error,
        }
    }
}

fn pointer<T>(address: u64) -> *mut T {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// Memory that a transfer is about, the first `done` bytes of which are behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    address: u64,
    length: u32,
}

impl Bytes {
    pub(super) fn new(address: u64, length: u32, done: u32) -> Self {
        debug_assert!(done <= length);
        Self {
            address: address + u64::from(done),
            length: (length - done).min(i32::MAX as u32),
        }
    }
}

/// `send(2)`, or with an address `sendto(2)`.
///
/// # Safety
///
/// `bytes` are readable, and the entry's second address is one or nothing.
pub(super) unsafe fn send(fd: RawFd, bytes: Bytes, flags: i32, to: &Sqe) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the memory.
        let sent = unsafe {
            libc::sendto(
                fd,
                pointer(bytes.address),
                bytes.length as usize,
                flags,
                pointer(to.offset),
                libc::socklen_t::from(to.address_length),
            )
        };
        sent as i64
    })
}

/// `recv(2)`.
///
/// # Safety
///
/// `bytes` are writable, and nobody else uses them.
pub(super) unsafe fn recv(fd: RawFd, bytes: Bytes, flags: i32) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the memory.
        let received =
            unsafe { libc::recv(fd, pointer(bytes.address), bytes.length as usize, flags) };
        received as i64
    })
}

/// `sendmsg(2)`.
///
/// # Safety
///
/// At `header` is a `msghdr` with all that belongs to it.
pub(super) unsafe fn send_message(fd: RawFd, header: u64, flags: i32) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the header.
        let sent = unsafe { libc::sendmsg(fd, pointer(header), flags) };
        sent as i64
    })
}

/// `recvmsg(2)`.
///
/// # Safety
///
/// At `header` is a `msghdr` with all that belongs to it, which nobody else uses.
pub(super) unsafe fn receive_message(fd: RawFd, header: u64, flags: i32) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the header.
        let received = unsafe { libc::recvmsg(fd, pointer(header), flags) };
        received as i64
    })
}

/// The `O_*` flags of a descriptor, or a negated errno.
pub(super) fn status_flags(fd: RawFd) -> i32 {
    // SAFETY: the call takes no pointers.
    outcome(|| i64::from(unsafe { libc::fcntl(fd, libc::F_GETFL) }))
}

fn set_status_flags(fd: RawFd, flags: i32) -> i32 {
    // SAFETY: the call takes no pointers.
    outcome(|| i64::from(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }))
}

/// Makes calls on `fd` wait.
pub(super) fn set_blocking(fd: RawFd) {
    let flags = status_flags(fd);
    if flags >= 0 {
        set_status_flags(fd, flags & !libc::O_NONBLOCK);
    }
}

/// The events of `poll(2)` that hold now, or a negated errno.
pub(super) fn poll_now(fd: RawFd, events: i16) -> i32 {
    let mut looked_at = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: the pointer leads to one structure.
    let result = outcome(|| i64::from(unsafe { libc::poll(&raw mut looked_at, 1, 0) }));
    if result < 0 {
        return result;
    }
    i32::from(looked_at.revents)
}

/// Whether reads and writes are to fail rather than wait.
pub(super) fn is_nonblocking(fd: RawFd) -> bool {
    let flags = status_flags(fd);
    flags >= 0 && flags & libc::O_NONBLOCK != 0
}

/// Makes calls on `fd` fail rather than wait. Returns the flags from before, or a negated errno.
pub(super) fn set_nonblocking(fd: RawFd) -> i32 {
    let flags = status_flags(fd);
    if flags < 0 || flags & libc::O_NONBLOCK != 0 {
        return flags;
    }
    let set = set_status_flags(fd, flags | libc::O_NONBLOCK);
    if set < 0 { set } else { flags }
}

/// `accept4(2)` on a socket that does not block.
///
/// # Safety
///
/// The entry has room for an address and its length, or no pointers to such.
pub(super) unsafe fn accept(entry: &Sqe) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the memory.
        let accepted = unsafe {
            libc::accept4(
                entry.fd,
                pointer(entry.address),
                pointer(entry.offset),
                entry.flags_of_operation as i32,
            )
        };
        i64::from(accepted)
    })
}

/// Begins to connect (`connect(2)`), without waiting whatever the socket's mode.
///
/// # Safety
///
/// The entry has an address.
pub(super) unsafe fn begin_connect(entry: &Sqe) -> i32 {
    let before = set_nonblocking(entry.fd);
    if before < 0 {
        return before;
    }
    // Not called again when interrupted: that it never is, as it does not wait.
    // SAFETY: the caller vouches for the memory.
    let result = unsafe {
        libc::connect(
            entry.fd,
            pointer(entry.address),
            entry.offset as libc::socklen_t,
        )
    };
    let result = if result < 0 { -errno() } else { 0 };
    if before & libc::O_NONBLOCK == 0 {
        // What has begun goes on all the same. A failure leaves the socket non-blocking.
        set_status_flags(entry.fd, before);
    }
    result
}

/// The family of an address in memory.
///
/// # Safety
///
/// The entry has an address.
pub(super) unsafe fn address_family(entry: &Sqe) -> i32 {
    if entry.offset < size_of::<libc::sa_family_t>() as u64 {
        return libc::AF_UNSPEC;
    }
    // SAFETY: the caller vouches for the memory, and an address begins with its family.
    let family = unsafe { pointer::<libc::sa_family_t>(entry.address).read_unaligned() };
    i32::from(family)
}

/// An option of a socket that is an `int`, or a negated errno.
fn socket_option(fd: RawFd, option: i32) -> Result<i32, i32> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers lead to an `int` and its length.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(-errno()) } else { Ok(value) }
}

/// How a connect has ended.
pub(super) fn end_of_connect(fd: RawFd) -> i32 {
    socket_option(fd, libc::SO_ERROR).map_or_else(|error| error, |error| -error)
}

/// Whether `fd` is a TCP socket.
pub(super) fn is_tcp(fd: RawFd) -> bool {
    socket_option(fd, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_TCP)
}

/// `shutdown(2)`.
pub(super) fn shutdown(fd: RawFd, how: u32) -> i32 {
    // SAFETY: the call takes no pointers.
    outcome(|| i64::from(unsafe { libc::shutdown(fd, how as i32) }))
}

/// Whether a transfer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// Where in a file a transfer goes on that has moved `done` bytes; -1 for the file's own position.
fn position(offset: u64, done: u32) -> i64 {
    if offset == OWN_POSITION {
        return -1;
    }
    // An offset beyond what a file can have is the kernel's to refuse.
    offset.wrapping_add(u64::from(done)).min(i64::MAX as u64) as i64
}

/// What a read or write is about: one piece of memory, or several.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) entry: &'a Sqe,
    pub(super) direction: Direction,
    pub(super) is_vectored: bool,
    /// Bytes that have been moved; of a vectored one always 0.
    pub(super) done: u32,
}

impl Transfer<'_> {
    /// `preadv2(2)` or `pwritev2(2)` at `position`, which is -1 for that of the file, with `flags`.
    ///
    /// # Safety
    ///
    /// The memory that the entry names is valid, and written by nobody else; read by nobody for a read.
    unsafe fn call(&self, position: i64, flags: i32) -> i32 {
        let entry = self.entry;
        let one = libc::iovec {
            iov_base: pointer(entry.address + u64::from(self.done)),
            iov_len: (entry.length - self.done).min(i32::MAX as u32) as usize,
        };
        let (vectors, count) = if self.is_vectored {
            (
                pointer::<libc::iovec>(entry.address).cast_const(),
                entry.length as i32,
            )
        } else {
            (&raw const one, 1)
        };
        let flags = flags | entry.flags_of_operation as i32;
        let fd = entry.fd;
        outcome(|| {
            // Without flags by the older calls, which no kernel and hardly a filter lacks.
            let moved = match (self.direction, flags, position) {
                // SAFETY: the caller vouches for the memory, and `one` lives on.
                (Direction::Read, 0, -1) => unsafe { libc::readv(fd, vectors, count) },
                // SAFETY: as above.
                (Direction::Write, 0, -1) => unsafe { libc::writev(fd, vectors, count) },
                // SAFETY: as above.
                (Direction::Read, 0, _) => unsafe { libc::preadv(fd, vectors, count, position) },
                // SAFETY: as above.
                (Direction::Write, 0, _) => unsafe { libc::pwritev(fd, vectors, count, position) },
                // SAFETY: as above.
                (Direction::Read, ..) => unsafe {
                    libc::preadv2(fd, vectors, count, position, flags)
                },
                // SAFETY: as above.
                (Direction::Write, ..) => unsafe {
                    libc::pwritev2(fd, vectors, count, position, flags)
                },
            };
            moved as i64
        })
    }

    /// Moves what can be moved, with `RWF_NOWAIT` or waiting, and says whether the file has positions.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    unsafe fn at_its_place(&self, flags: i32) -> (i32, bool) {
        let position = position(self.entry.offset, self.done);
        // SAFETY: as the caller vouches.
        let moved = unsafe { self.call(position, flags) };
        if moved == -libc::ESPIPE && position >= 0 {
            // What has no positions is read and written without.
            // SAFETY: as above.
            return (unsafe { self.call(-1, flags) }, false);
        }
        (moved, position >= 0)
    }

    /// What can be moved without waiting; `EAGAIN` when that is nothing. The flag says whether the file has
    /// positions.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    pub(super) unsafe fn now(&self) -> (i32, bool) {
        // SAFETY: as the caller vouches.
        unsafe { self.at_its_place(libc::RWF_NOWAIT) }
    }

    /// Moves what there is, waiting for it.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    pub(super) unsafe fn waiting(&self) -> i32 {
        // SAFETY: as the caller vouches.
        unsafe { self.at_its_place(0) }.0
    }
}

/// The type and permissions of what an entry opens, if there is such.
///
/// # Safety
///
/// The entry has a path.
pub(super) unsafe fn file_mode(entry: &Sqe) -> Option<libc::mode_t> {
    let mut attributes = std::mem::MaybeUninit::<libc::stat>::zeroed();
    let nofollow = entry.flags_of_operation as i32 & libc::O_NOFOLLOW != 0;
    let flags = if nofollow {
        libc::AT_SYMLINK_NOFOLLOW
    } else {
        0
    };
    // SAFETY: the caller vouches for the path, and the attributes have room.
    let result = unsafe {
        libc::fstatat(
            entry.fd,
            pointer(entry.address),
            attributes.as_mut_ptr(),
            flags,
        )
    };
    // SAFETY: zeroed is a valid value, and the call has filled it.
    (result == 0).then(|| unsafe { attributes.assume_init() }.st_mode)
}

/// `openat(2)`, with `flags`.
///
/// # Safety
///
/// The entry has a path.
pub(super) unsafe fn open(entry: &Sqe, flags: i32) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the path.
        let fd = unsafe {
            libc::openat(
                entry.fd,
                pointer(entry.address),
                flags,
                entry.length as libc::c_uint,
            )
        };
        i64::from(fd)
    })
}

/// `fsync(2)` or `fdatasync(2)`.
pub(super) fn sync(entry: &Sqe) -> i32 {
    const DATA_ONLY: u32 = 1;
    let call = if entry.flags_of_operation & DATA_ONLY == 0 {
        libc::fsync
    } else {
        libc::fdatasync
    };
    // SAFETY: the calls take no pointers.
    outcome(|| i64::from(unsafe { call(entry.fd) }))
}

/// `statx(2)`.
///
/// # Safety
///
/// The entry has a path, and room for the answer.
pub(super) unsafe fn stat(entry: &Sqe) -> i32 {
    outcome(|| {
        // SAFETY: the caller vouches for the memory.
        let result = unsafe {
            libc::statx(
                entry.fd,
                pointer(entry.address),
                entry.flags_of_operation as i32,
                entry.length,
                pointer(entry.offset),
            )
        };
        i64::from(result)
    })
}

/// `close(2)`.
///
/// # Safety
///
/// The descriptor is the entry's to close.
pub(super) unsafe fn close(entry: &Sqe) -> i32 {
    // SAFETY: as the caller vouches.
    let result = unsafe { libc::close(entry.fd) };
    // Interrupted or not, the descriptor is gone: a second call might close another's.
    if result < 0 && errno() != libc::EINTR {
        return -errno();
    }
    0
}
