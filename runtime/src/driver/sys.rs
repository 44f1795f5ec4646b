//! The three io_uring system calls and the constants that the `io-uring` crate keeps to itself.
//!
//! Numbers and layouts follow `linux/io_uring.h`.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

pub(crate) const SETUP_CQSIZE: u32 = 1 << 3;
pub(crate) const SETUP_CLAMP: u32 = 1 << 4;
pub(crate) const SETUP_SUBMIT_ALL: u32 = 1 << 7;
pub(crate) const SETUP_COOP_TASKRUN: u32 = 1 << 8;
pub(crate) const SETUP_TASKRUN_FLAG: u32 = 1 << 9;
pub(crate) const SETUP_SINGLE_ISSUER: u32 = 1 << 12;
pub(crate) const SETUP_DEFER_TASKRUN: u32 = 1 << 13;
/// Linux 6.6.
pub(crate) const SETUP_NO_SQARRAY: u32 = 1 << 16;

pub(crate) const SQ_CQ_OVERFLOW: u32 = 1 << 1;
pub(crate) const SQ_TASKRUN: u32 = 1 << 2;

pub(crate) const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
pub(crate) const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// Linux 6.15, where `FEAT_NO_IOWAIT` is set.
pub(crate) const ENTER_NO_IOWAIT: u32 = 1 << 7;
pub(crate) const FEAT_NO_IOWAIT: u32 = 1 << 17;

pub(crate) const OFF_SQ_RING: i64 = 0;
pub(crate) const OFF_SQES: i64 = 0x1000_0000;

const REGISTER_EVENTFD: u32 = 4;
const REGISTER_IOWQ_MAX_WORKERS: u32 = 19;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
const REGISTER_PBUF_RING: u32 = 22;
const UNREGISTER_PBUF_RING: u32 = 23;

/// `struct io_sqring_offsets`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SqOffsets {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) ring_mask: u32,
    pub(crate) ring_entries: u32,
    pub(crate) flags: u32,
    pub(crate) dropped: u32,
    pub(crate) array: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_cqring_offsets`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CqOffsets {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) ring_mask: u32,
    pub(crate) ring_entries: u32,
    pub(crate) overflow: u32,
    pub(crate) cqes: u32,
    pub(crate) flags: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Params {
    pub(crate) sq_entries: u32,
    pub(crate) cq_entries: u32,
    pub(crate) flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    pub(crate) features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    pub(crate) sq_off: SqOffsets,
    pub(crate) cq_off: CqOffsets,
}

const _: () = assert!(size_of::<Params>() == 120);

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct GetEventsArg {
    sigmask: u64,
    sigmask_size: u32,
    min_wait_usec: u32,
    timespec: u64,
}

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct io_uring_rsrc_update`, as `REGISTER_RING_FDS` uses it.
#[repr(C)]
struct RingFdUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// `struct io_uring_buf_reg`.
#[repr(C)]
struct BufferRingRegistration {
    ring_addr: u64,
    ring_entries: u32,
    group: u16,
    flags: u16,
    reserved: [u64; 3],
}

/// One entry of a provided buffer ring (`struct io_uring_buf`). The ring's tail lives in the last
/// two bytes of entry 0.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct BufferEntry {
    pub(crate) address: u64,
    pub(crate) length: u32,
    pub(crate) id: u16,
    pub(crate) tail: std::sync::atomic::AtomicU16,
}

const _: () = assert!(size_of::<BufferEntry>() == 16);

fn check(result: libc::c_long) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}

/// `io_uring_setup(2)`.
pub(crate) fn setup(entries: u32, params: &mut Params) -> io::Result<RawFd> {
    // SAFETY: `params` is a valid, exclusively borrowed `io_uring_params`.
    check(unsafe {
        libc::syscall(
            libc::SYS_io_uring_setup,
            entries,
            std::ptr::from_mut(params),
        )
    })
}

/// `io_uring_enter2(2)`; `fd` is an index when `flags` has `ENTER_REGISTERED_RING`.
///
/// Allocates nothing and touches only `errno`, so a signal handler may call it.
#[inline]
pub(crate) fn enter(
    fd: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    timeout: Option<Duration>,
) -> io::Result<u32> {
    let result = match timeout {
        None => {
            // SAFETY: a null argument of the signal set's size is what the call takes without
            // EXT_ARG; SQEs the call submits were vouched for by `Ring::push`.
            unsafe {
                libc::syscall(
                    libc::SYS_io_uring_enter,
                    fd,
                    submit,
                    want,
                    flags,
                    std::ptr::null::<u8>(),
                    8_usize,
                )
            }
        }
        Some(timeout) => {
            let timespec = Timespec {
                seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: i64::from(timeout.subsec_nanos()),
            };
            let argument = GetEventsArg {
                sigmask: 0,
                sigmask_size: 8,
                min_wait_usec: 0,
                timespec: std::ptr::from_ref(&timespec).expose_provenance() as u64,
            };
            // SAFETY: `argument` and the timespec it points to outlive the call.
            unsafe {
                libc::syscall(
                    libc::SYS_io_uring_enter,
                    fd,
                    submit,
                    want,
                    flags | ENTER_EXT_ARG,
                    std::ptr::from_ref(&argument),
                    size_of::<GetEventsArg>(),
                )
            }
        }
    };
    check(result).map(|count| count as u32)
}

fn register(fd: RawFd, opcode: u32, argument: *const u8, count: u32) -> io::Result<i32> {
    // SAFETY: each caller in this module passes the structure that `opcode` takes, alive and of
    // `count` elements.
    check(unsafe { libc::syscall(libc::SYS_io_uring_register, fd, opcode, argument, count) })
}

/// Registers a ring's own descriptor for the calling thread and returns its index.
pub(crate) fn register_ring_fd(fd: RawFd) -> io::Result<RawFd> {
    let mut update = RingFdUpdate {
        offset: u32::MAX,
        reserved: 0,
        data: fd as u64,
    };
    let pointer = std::ptr::from_mut(&mut update);
    match register(fd, REGISTER_RING_FDS, pointer.cast_const().cast(), 1)? {
        1 => Ok(update.offset as RawFd),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Undoes [`register_ring_fd`] on the thread that called it.
pub(crate) fn unregister_ring_fd(fd: RawFd, index: RawFd) -> io::Result<()> {
    let update = RingFdUpdate {
        offset: index as u32,
        reserved: 0,
        data: 0,
    };
    register(
        fd,
        UNREGISTER_RING_FDS,
        std::ptr::from_ref(&update).cast(),
        1,
    )
    .map(drop)
}

/// Has the kernel ring `event` for every completion of the ring, posted or held back for its thread.
pub(crate) fn register_eventfd(fd: RawFd, event: RawFd) -> io::Result<()> {
    register(fd, REGISTER_EVENTFD, std::ptr::from_ref(&event).cast(), 1).map(drop)
}

/// Caps the kernel threads that run blocking operations: bounded (files) and unbounded ones.
pub(crate) fn register_iowq_max_workers(fd: RawFd, limits: [u32; 2]) -> io::Result<()> {
    let mut limits = limits;
    let pointer = std::ptr::from_mut(&mut limits);
    register(
        fd,
        REGISTER_IOWQ_MAX_WORKERS,
        pointer.cast_const().cast(),
        2,
    )
    .map(drop)
}

/// Registers the `entries` buffer entries at `address` as provided buffer group `group`.
///
/// # Safety
///
/// The memory stays mapped until [`unregister_buffer_ring`] or until the ring has no operation in
/// flight and is closed.
pub(crate) unsafe fn register_buffer_ring(
    fd: RawFd,
    address: *const BufferEntry,
    entries: u32,
    group: u16,
) -> io::Result<()> {
    let registration = BufferRingRegistration {
        ring_addr: address.expose_provenance() as u64,
        ring_entries: entries,
        group,
        flags: 0,
        reserved: [0; 3],
    };
    register(
        fd,
        REGISTER_PBUF_RING,
        std::ptr::from_ref(&registration).cast(),
        1,
    )
    .map(drop)
}

/// Takes a provided buffer group away from the kernel.
pub(crate) fn unregister_buffer_ring(fd: RawFd, group: u16) -> io::Result<()> {
    let registration = BufferRingRegistration {
        ring_addr: 0,
        ring_entries: 0,
        group,
        flags: 0,
        reserved: [0; 3],
    };
    register(
        fd,
        UNREGISTER_PBUF_RING,
        std::ptr::from_ref(&registration).cast(),
        1,
    )
    .map(drop)
}
