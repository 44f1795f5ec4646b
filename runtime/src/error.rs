//! Why a runtime cannot be built.

use std::fmt;
use std::io;

use crate::driver::ring::RingConfig;

/// The error of [`Builder::build`](crate::Builder::build): its message names the cause and the remedy.
#[derive(Debug)]
pub struct BuildError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The kernel refuses a ring, at this step.
    Ring {
        error: io::Error,
        step: &'static str,
    },
    /// A thread could not be started.
    Thread(io::Error),
    /// A descriptor, mapping or signal handler could not be had.
    Resource {
        error: io::Error,
        what: &'static str,
    },
    /// A setting that makes no sense.
    Setting(String),
}

impl BuildError {
    pub(crate) fn ring(error: io::Error, step: &'static str) -> Self {
        Self {
            kind: Kind::Ring { error, step },
        }
    }

    /// As [`ring`](Self::ring), of a ring that is emulated or not.
    pub(crate) fn ring_of(config: RingConfig, error: io::Error, step: &'static str) -> Self {
        if config.emulated {
            return Self::resource(error, "a worker's epoll instance and queues");
        }
        Self::ring(error, step)
    }

    pub(crate) fn thread(error: io::Error) -> Self {
        Self {
            kind: Kind::Thread(error),
        }
    }

    pub(crate) fn resource(error: io::Error, what: &'static str) -> Self {
        Self {
            kind: Kind::Resource { error, what },
        }
    }

    pub(crate) fn setting(message: String) -> Self {
        Self {
            kind: Kind::Setting(message),
        }
    }

    fn ring_errno(&self) -> Option<i32> {
        match &self.kind {
            Kind::Ring { error, .. } => error.raw_os_error(),
            _ => None,
        }
    }

    /// Whether a runtime without io_uring could be had. It needs as many descriptors.
    pub(crate) fn can_do_without_ring(&self) -> bool {
        let is_ring = matches!(self.kind, Kind::Ring { .. });
        is_ring && !matches!(self.ring_errno(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// Whether io_uring is forbidden here: by a seccomp filter, as in most containers, or by
    /// `kernel.io_uring_disabled`.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.ring_errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// Whether the kernel is too old or has no io_uring.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match &self.kind {
            Kind::Ring { error, .. } => {
                matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
                    || error.kind() == io::ErrorKind::Unsupported
            }
            _ => false,
        }
    }

    /// Whether a limit was reached: locked memory, open files, threads.
    #[must_use]
    pub fn is_resource_limit(&self) -> bool {
        let limits = [libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::EAGAIN];
        match &self.kind {
            Kind::Ring { error, .. } | Kind::Thread(error) | Kind::Resource { error, .. } => error
                .raw_os_error()
                .is_some_and(|errno| limits.contains(&errno)),
            Kind::Setting(_) => false,
        }
    }

    fn remedy(&self) -> &'static str {
        match self.ring_errno() {
            Some(libc::EPERM | libc::EACCES) => {
                "io_uring is forbidden here: in a container, run with a seccomp profile that allows \
                 io_uring_setup, io_uring_enter and io_uring_register (Docker: --security-opt \
                 seccomp=FILE); otherwise check that `sysctl kernel.io_uring_disabled` is 0"
            }
            Some(libc::ENOSYS) => {
                "this kernel has no io_uring: Linux 6.1 or newer is needed (gVisor has none)"
            }
            Some(libc::EINVAL) => {
                "this kernel lacks a feature the runtime relies on: Linux 6.1 or newer is needed"
            }
            Some(libc::ENOMEM) => {
                "the limit of locked memory is too low for the rings: raise it (`ulimit -l`, or \
                 LimitMEMLOCK= in the service), or build with fewer workers or a smaller ring"
            }
            Some(libc::EMFILE | libc::ENFILE) => {
                "too many open files: raise the limit (`ulimit -n`); each worker needs two descriptors"
            }
            _ => "Linux 6.1 or newer with io_uring enabled is needed",
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Ring { error, step } => {
                write!(
                    f,
                    "cannot use io_uring ({step}: {error}); {}",
                    self.remedy()
                )
            }
            Kind::Thread(error) => write!(
                f,
                "cannot start a worker thread ({error}); raise the limit of processes (`ulimit -u`) \
                 or build with fewer workers"
            ),
            Kind::Resource { error, what } => {
                write!(f, "cannot set up {what} ({error})")?;
                match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE) => {
                        f.write_str("; raise the limit of open files (`ulimit -n`)")
                    }
                    Some(libc::ENOMEM) => f.write_str("; there is not enough memory"),
                    _ => Ok(()),
                }
            }
            Kind::Setting(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Ring { error, .. } | Kind::Thread(error) | Kind::Resource { error, .. } => {
                Some(error)
            }
            Kind::Setting(_) => None,
        }
    }
}
