//! Printing the tasks when a signal asks for it, as some runtimes do at SIGQUIT.

#![expect(unsafe_code, reason = "a signal handler that writes to a descriptor")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Weak;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::handle::Handle;

/// Where the handlers write, by signal.
static BELLS: [AtomicI32; 65] = [const { AtomicI32::new(-1) }; 65];

extern "C" fn handle(signal: libc::c_int) {
    // SAFETY: `errno` is this thread's own; the handler must leave it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    if let Some(bell) = BELLS.get(signal as usize) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes of ours. The descriptor is that of a thread that never ends once the handler
        // is installed.
        unsafe { libc::write(bell.load(Ordering::Acquire), one.as_ptr().cast(), one.len()) };
    }
    // SAFETY: as above.
    unsafe { *errno = saved };
}

impl Handle {
    /// Prints the tree of tasks to standard error whenever the process gets `signal` (SIGQUIT, say), from a
    /// thread of its own, until the runtime is gone. The signal does nothing else any more. Once per signal
    /// and process.
    ///
    /// # Errors
    ///
    /// When the signal has been taken already, cannot be handled, or there is no descriptor or thread.
    pub fn dump_on_signal(&self, signal: i32) -> io::Result<()> {
        let bell = usize::try_from(signal).ok().and_then(|at| BELLS.get(at));
        let bell = bell.ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if bell
            .compare_exchange(-1, fd.as_raw_fd(), Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "another runtime prints its tasks at this signal; choose another one",
            ));
        }
        let runtime = std::sync::Arc::downgrade(self.shared());
        let thread = std::thread::Builder::new().name("heist-dump".to_owned());
        let (begin, begins) = std::sync::mpsc::channel::<()>();
        let started = thread.spawn(move || {
            // Without a handler there is nothing to wait for.
            if begins.recv().is_ok() {
                print_when_asked(&fd, &runtime);
            }
        });
        // If one of the two fails the descriptor is closed again; no handler is there that could write to it.
        let installed = started.and_then(|_| install(signal));
        if installed.is_err() {
            bell.store(-1, Ordering::Release);
            return installed;
        }
        // The thread waits for it, and for nothing else.
        let _ = begin.send(());
        Ok(())
    }
}

fn install(signal: i32) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the field lies in memory that is ours.
    unsafe { (*action.as_mut_ptr()).sa_sigaction = handle as *const () as usize };
    // SAFETY: as above.
    unsafe { (*action.as_mut_ptr()).sa_flags = libc::SA_RESTART };
    // SAFETY: a zeroed action with a handler is complete, and the handler is safe to run at any time.
    if unsafe { libc::sigaction(signal, action.as_ptr(), std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn print_when_asked(fd: &OwnedFd, runtime: &Weak<crate::scheduler::shared::Shared>) {
    loop {
        let mut count = [0_u8; 8];
        // SAFETY: eight bytes of ours.
        let read = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        if read < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        let Some(shared) = runtime.upgrade() else {
            // The descriptor stays: the handler may be about to write.
            continue;
        };
        eprintln!("heist: {}", Handle::from_shared(shared).dump_tasks());
    }
}
