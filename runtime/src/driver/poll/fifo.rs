//! Opening a FIFO, which waits for the other end, in a way that can be given up.
//!
//! `open(2)` would have to be interrupted by a signal. Here the FIFO is opened without waiting, which is the same to
//! whoever opens the other end, and looked at until that has happened. As with the kernel's ring, only an entry that is
//! for a thread from the start waits at all; to others a FIFO is opened as with `O_NONBLOCK`.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use super::calls;
use super::entry::{SQE_ASYNC, Sqe};

/// The first pause between two looks, and the longest.
const PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Tries again and again, until `attempt` has a result or it is given up: then that is `ECANCELED`.
pub(super) fn in_turns(
    is_given_up: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Option<i32>,
) -> i32 {
    let mut pause = PAUSE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        if is_given_up() {
            return -libc::ECANCELED;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `openat(2)`, of whatever it is.
///
/// # Safety
///
/// The entry has a path.
pub(super) unsafe fn open(entry: &Sqe, is_given_up: impl Fn() -> bool) -> i32 {
    let flags = entry.flags_of_operation as i32;
    let waits = flags & libc::O_ACCMODE != libc::O_RDWR
        && flags & (libc::O_NONBLOCK | libc::O_PATH | libc::O_EXCL) == 0;
    // SAFETY: as the caller vouches.
    if !waits || !unsafe { is_fifo(entry) } {
        // SAFETY: as above.
        return unsafe { calls::open(entry, flags) };
    }
    let attempt = || {
        // SAFETY: as above.
        unsafe { calls::open(entry, flags | libc::O_NONBLOCK) }
    };
    let opened = if entry.flags & SQE_ASYNC == 0 {
        attempt()
    } else if flags & libc::O_ACCMODE == libc::O_WRONLY {
        in_turns(&is_given_up, || {
            let opened = attempt();
            // Nobody has it open for reading.
            (opened != -libc::ENXIO).then_some(opened)
        })
    } else {
        wait_for_writer(attempt(), &is_given_up)
    };
    if opened >= 0 {
        calls::set_blocking(opened);
    }
    opened
}

/// Whether the path leads to a FIFO, now.
///
/// # Safety
///
/// The entry has a path.
unsafe fn is_fifo(entry: &Sqe) -> bool {
    // SAFETY: the caller vouches for the path.
    let mode = unsafe { calls::file_mode(entry) };
    mode.is_some_and(|mode| mode & libc::S_IFMT == libc::S_IFIFO)
}

/// Waits until somebody has opened a FIFO for writing that was `opened` for reading.
fn wait_for_writer(opened: i32, is_given_up: impl Fn() -> bool) -> i32 {
    if opened < 0 {
        return opened;
    }
    // SAFETY: the kernel just returned this descriptor to us alone.
    let fifo = unsafe { OwnedFd::from_raw_fd(opened) };
    let (_reader, writer) = match io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return -error.raw_os_error().unwrap_or(libc::EMFILE),
    };
    let result = in_turns(is_given_up, || {
        let shown = calls::poll_now(fifo.as_raw_fd(), libc::POLLIN);
        if shown != 0 {
            // There is something to read, or a writer has come and gone.
            return Some(0);
        }
        // Copies nothing of an empty FIFO, but tells whether that could be worth waiting for.
        // SAFETY: the call takes no pointers.
        let copied = unsafe {
            libc::tee(
                fifo.as_raw_fd(),
                writer.as_raw_fd(),
                1,
                libc::SPLICE_F_NONBLOCK,
            )
        };
        (copied != 0).then_some(0)
    });
    if result < 0 {
        return result;
    }
    fifo.into_raw_fd()
}
