//! Descriptors that operations share.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use io_uring::types;

/// A descriptor that stays open until its last holder is gone: the socket or file itself, and every
/// operation of it that the kernel still works on.
///
/// Closing by number while an operation waits in a submission queue would hand that operation whatever
/// is opened next under the same number; sharing rules this out.
#[derive(Debug, Clone)]
pub struct SharedFd(Arc<OwnedFd>);

impl SharedFd {
    /// Shares `fd`.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }

    /// As io_uring's entries name it.
    pub(crate) fn entry(&self) -> types::Fd {
        types::Fd(self.0.as_raw_fd())
    }

    /// The descriptor itself, when nothing else holds it.
    ///
    /// # Errors
    ///
    /// The shared descriptor, when an operation or another clone still holds it.
    pub fn try_unwrap(self) -> Result<OwnedFd, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Takes over a descriptor that a completion reports.
#[expect(unsafe_code, reason = "ownership of a descriptor comes as a number")]
pub(crate) fn adopt(raw: u32) -> OwnedFd {
    // SAFETY: the kernel opened this descriptor for the operation and told nobody else.
    unsafe { OwnedFd::from_raw_fd(raw as RawFd) }
}
