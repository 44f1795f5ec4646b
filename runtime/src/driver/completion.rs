//! What the kernel says of an operation.

use std::io;

use io_uring::cqueue;

/// One completion of an operation: the `res` and `flags` of its CQE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Completion {
    result: i32,
    flags: u32,
}

impl Completion {
    #[cfg(test)]
    pub(crate) fn new(result: i32, flags: u32) -> Self {
        Self { result, flags }
    }

    pub(crate) fn from_entry(entry: &cqueue::Entry) -> Self {
        Self {
            result: entry.result(),
            flags: entry.flags(),
        }
    }

    /// The raw result: a count or descriptor, or a negated errno.
    #[must_use]
    pub fn raw_result(self) -> i32 {
        self.result
    }

    /// The result as the count or descriptor it stands for.
    ///
    /// # Errors
    ///
    /// The operation's error, by errno.
    pub fn result(self) -> io::Result<u32> {
        u32::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }

    /// Whether more completions of the same operation follow (`IORING_CQE_F_MORE`).
    #[must_use]
    pub fn has_more(self) -> bool {
        cqueue::more(self.flags)
    }

    /// The provided buffer that the kernel chose, if it chose one (`IORING_CQE_F_BUFFER`).
    #[must_use]
    pub fn buffer_id(self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// Whether this is the notification that a zero-copy send has released its buffer.
    #[must_use]
    pub fn is_notification(self) -> bool {
        cqueue::notif(self.flags)
    }

    /// Whether the socket held more data at the time (`IORING_CQE_F_SOCK_NONEMPTY`).
    #[must_use]
    pub fn has_more_data(self) -> bool {
        cqueue::sock_nonempty(self.flags)
    }

    pub(crate) fn is_cancelled(self) -> bool {
        self.result == -libc::ECANCELED
    }

    pub(crate) fn pack(self) -> u64 {
        u64::from(self.result as u32) << 32 | u64::from(self.flags)
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        Self {
            result: (packed >> 32) as u32 as i32,
            flags: packed as u32,
        }
    }
}
