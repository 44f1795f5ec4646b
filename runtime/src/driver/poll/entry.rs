//! Submissions and completions as they lie in the queues. Layouts and numbers follow `linux/io_uring.h`.

use std::mem::offset_of;

/// `IOSQE_*`: which flags of an entry are obeyed. `ASYNC`, a thread from the start, makes a difference to the opening
/// of FIFOs only.
pub(super) const KNOWN_FLAGS: u8 = SQE_ASYNC | SQE_BUFFER_SELECT | SQE_SKIP_SUCCESS;
pub(super) const SQE_ASYNC: u8 = 1 << 4;
pub(super) const SQE_BUFFER_SELECT: u8 = 1 << 5;
pub(super) const SQE_SKIP_SUCCESS: u8 = 1 << 6;

/// `IORING_ACCEPT_MULTISHOT`, in `io_priority`.
pub(super) const ACCEPT_MULTISHOT: u16 = 1;
/// `IORING_RECV_MULTISHOT`, in `io_priority`.
pub(super) const RECV_MULTISHOT: u16 = 1 << 1;
/// `IORING_POLL_ADD_MULTI`, in `length`.
pub(super) const POLL_MULTI: u32 = 1;
/// `IORING_ASYNC_CANCEL_ANY`, in `flags_of_operation`.
pub(super) const CANCEL_ANY: u32 = 1 << 2;

/// `IORING_CQE_F_*`.
pub(super) const CQE_BUFFER: u32 = 1;
pub(super) const CQE_MORE: u32 = 1 << 1;
/// Where the number of the buffer is in the flags of a completion.
pub(super) const CQE_BUFFER_SHIFT: u32 = 16;

/// `struct io_uring_sqe`. What a field means depends on the operation.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(in crate::driver) struct Sqe {
    pub(super) opcode: u8,
    /// `IOSQE_*`.
    pub(super) flags: u8,
    pub(super) io_priority: u16,
    pub(super) fd: i32,
    /// An offset, or a second address.
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) flags_of_operation: u32,
    pub(super) user_data: u64,
    pub(super) buffer_group: u16,
    personality: u16,
    /// Of the second address.
    pub(super) address_length: u16,
    reserved: [u16; 9],
}

const _: () = assert!(size_of::<Sqe>() == 64);
const _: () = assert!(offset_of!(Sqe, fd) == 4);
const _: () = assert!(offset_of!(Sqe, offset) == 8);
const _: () = assert!(offset_of!(Sqe, address) == 16);
const _: () = assert!(offset_of!(Sqe, length) == 24);
const _: () = assert!(offset_of!(Sqe, flags_of_operation) == 28);
const _: () = assert!(offset_of!(Sqe, user_data) == 32);
const _: () = assert!(offset_of!(Sqe, buffer_group) == 40);
const _: () = assert!(offset_of!(Sqe, address_length) == 44);

/// `struct io_uring_cqe`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(in crate::driver) struct Cqe {
    pub(super) user_data: u64,
    /// A count or descriptor, or a negated errno.
    pub(super) result: i32,
    pub(super) flags: u32,
}

const _: () = assert!(size_of::<Cqe>() == 16);
const _: () = assert!(offset_of!(Cqe, result) == 8);
const _: () = assert!(offset_of!(Cqe, flags) == 12);
