//! One epoll instance.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Events taken with one call.
const BATCH: usize = 128;

/// This kernel (before 5.11), or a filter, has no wait with nanoseconds.
static HAS_NO_PWAIT2: AtomicBool = AtomicBool::new(false);

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// What happened: the events, and what was registered with them.
pub(super) type Event = (u32, u64);

/// An epoll instance, with room for what one wait yields.
pub(super) struct Epoll {
    fd: OwnedFd,
    batch: Box<[libc::epoll_event; BATCH]>,
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Epoll").field(&self.fd).finish()
    }
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Ok(Self {
            fd,
            batch: Box::new([empty; BATCH]),
        })
    }

    fn control(&self, action: i32, fd: RawFd, events: u32, data: u64) -> Result<(), i32> {
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: the event is valid for the call.
        let result = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), action, fd, &raw mut event) };
        if result < 0 {
            let error = io::Error::last_os_error();
            return Err(error.raw_os_error().unwrap_or(libc::EIO));
        }
        Ok(())
    }

    /// Registers `fd` (`EPOLL_CTL_ADD`). Errors are errnos, here and below.
    pub(super) fn add(&self, fd: RawFd, events: u32, data: u64) -> Result<(), i32> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, data)
    }

    /// Changes what `fd` is registered for (`EPOLL_CTL_MOD`), and has what holds already told again.
    pub(super) fn change(&self, fd: RawFd, events: u32, data: u64) -> Result<(), i32> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, data)
    }

    /// Ends the registration of `fd` (`EPOLL_CTL_DEL`).
    pub(super) fn remove(&self, fd: RawFd) -> Result<(), i32> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits for events, at most for `timeout` when it is given, and returns how many there are; see
    /// [`event`](Self::event).
    ///
    /// # Errors
    ///
    /// `EINTR`, as the errno.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, i32> {
        let count = if timeout.is_none_or(|timeout| timeout.is_zero())
            || HAS_NO_PWAIT2.load(Ordering::Relaxed)
        {
            self.wait_millis(timeout)
        } else {
            self.wait_nanos(timeout)
        };
        usize::try_from(count).map_err(|_| -count)
    }

    fn wait_millis(&mut self, timeout: Option<Duration>) -> i32 {
        // Rounded up: a timer must not find itself early, again and again.
        let millis = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: the batch has room for as many events as the call is told.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.batch.as_mut_ptr(),
                BATCH as i32,
                millis,
            )
        };
        if count < 0 {
            return -io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO);
        }
        count
    }

    fn wait_nanos(&mut self, timeout: Option<Duration>) -> i32 {
        let timespec = timeout.map(|timeout| Timespec {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(timeout.subsec_nanos()),
        });
        let pointer = timespec
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the batch has room for as many events as the call is told, and the timespec outlives it;
        // no signal set is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.batch.as_mut_ptr(),
                BATCH as i32,
                pointer,
                std::ptr::null::<u8>(),
                8_usize,
            )
        };
        if count >= 0 {
            return count as i32;
        }
        match io::Error::last_os_error().raw_os_error() {
            // Filters answer with either what they do not know.
            Some(libc::ENOSYS | libc::EPERM) => {
                HAS_NO_PWAIT2.store(true, Ordering::Relaxed);
                self.wait_millis(timeout)
            }
            error => -error.unwrap_or(libc::EIO),
        }
    }

    /// The `index`-th event of the last wait.
    pub(super) fn event(&self, index: usize) -> Event {
        let event = self.batch[index];
        (event.events, event.u64)
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
