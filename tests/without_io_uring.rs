//! Runs a program where io_uring is denied: `without_io_uring --exec PROGRAM ARGUMENTS`, which is how `.ci/run` runs other
//! tests once more. As a test it runs itself, and looks.

#![expect(unsafe_code, reason = "a look at whether a system call is denied")]

#[path = "common/seccomp.rs"]
mod seccomp;

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|first| first.to_str()) {
        Some("--exec") => run(arguments),
        Some("--look") => ExitCode::from(u8::from(!is_denied())),
        _ => test(),
    }
}

/// Becomes the program, under the filter, which stays.
fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(program) = arguments.next() else {
        eprintln!("usage: without_io_uring --exec PROGRAM ARGUMENTS");
        return ExitCode::FAILURE;
    };
    seccomp::deny_io_uring();
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("{}: {error}", program.display());
    ExitCode::FAILURE
}

fn is_denied() -> bool {
    // SAFETY: denied or not, the call gets no memory: without parameters the kernel refuses it (EFAULT).
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null_mut::<u8>()) };
    ring < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Control: the look without the filter.
fn test() -> ExitCode {
    let this = env::current_exe().expect("it runs");
    let look = |arguments: &[OsString]| {
        let status = Command::new(&this).args(arguments).status();
        status.expect("it can be run").success()
    };
    let under_filter = ["--exec".into(), this.clone().into(), "--look".into()];
    assert!(look(&under_filter), "the filter does not deny io_uring");
    if look(&["--look".into()]) {
        eprintln!("io_uring is denied here anyhow");
    }
    ExitCode::SUCCESS
}
