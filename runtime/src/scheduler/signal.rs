//! The signal by which an idle worker has a busy sibling enter its ring.
//!
//! The handler does one `io_uring_enter` on the ring of the thread it interrupts, and nothing on a
//! thread that is no worker. It is installed with `SA_RESTART`, so system calls of the interrupted task
//! are restarted where the kernel can; sleeps and polls may return early, as with any signal. The
//! default is SIGURG, which is ignored unless somebody handles it (the Go runtime preempts with it). A
//! handler that was there before is called as well.

#![expect(unsafe_code, reason = "installing and sending a signal")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::context;

/// Signals for which the handler is installed.
static INSTALLED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Handlers that were there before ours, by signal number.
static PREVIOUS: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `errno` is this thread's own; the handler must leave it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    context::enter_ring_from_signal();
    let previous = PREVIOUS
        .get(signal as usize)
        .map_or(0, |word| word.load(Ordering::Acquire));
    if previous > 1 {
        // SAFETY: the word holds the address of a handler that `install` found (SIG_DFL and SIG_IGN
        // are 0 and 1). A one-argument handler ignores the other registers.
        let previous: Handler = unsafe { std::mem::transmute(previous) };
        previous(signal, info, context);
    }
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// Installs the handler for `signal`, once per process.
pub(crate) fn install(signal: i32) -> io::Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.contains(&signal) {
        return Ok(());
    }
    let word = PREVIOUS
        .get(usize::try_from(signal).unwrap_or(usize::MAX))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads the current one into valid memory.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the call above (and valid when zeroed).
    let mut action = unsafe { action.assume_init() };
    word.store(action.sa_sigaction, Ordering::Release);
    let handler: Handler = handle;
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is a valid action whose handler is async-signal-safe.
    if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    installed.push(signal);
    Ok(())
}

/// Sends `signal` to a thread of this process. Returns whether there was such a thread.
pub(crate) fn send(signal: i32, thread: i32) -> bool {
    if thread == 0 {
        return false;
    }
    let process = std::process::id();
    // SAFETY: plain numbers; a thread that has gone gives ESRCH, and the handler does nothing on a
    // thread that is no worker.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) == 0 }
}
