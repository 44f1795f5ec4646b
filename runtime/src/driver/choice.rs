//! Which driver a runtime gets.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::BuildError;
use crate::trace;

/// The variable that decides where the program does not.
const VARIABLE: &str = "HEIST_DRIVER";

/// What carries the I/O of a runtime; see [`Builder::driver`](crate::Builder::driver).
///
/// Programs behave the same on both, and all promises hold. ARCHITECTURE.md says what differs, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring where it can be had, and otherwise epoll, with one warning that names the cause and the remedy.
    #[default]
    Auto,
    /// io_uring; where it cannot be had, building the runtime fails with a [`BuildError`] that says why.
    Uring,
    /// epoll, and threads for files: for containers whose seccomp profile denies io_uring, for kernels older than 6.1
    /// (down to 5.4), and for comparison.
    Poll,
}

impl Driver {
    /// The choice of the program or, when it left it open, that of the environment.
    pub(crate) fn resolve(self) -> Result<Self, BuildError> {
        if self != Self::Auto {
            return Ok(self);
        }
        match env::var_os(VARIABLE) {
            None => Ok(Self::Auto),
            Some(value) => value.to_str().and_then(Self::from_name).ok_or_else(|| {
                BuildError::setting(format!(
                    "{VARIABLE} is {value:?}: set it to auto, uring or poll, or not at all"
                ))
            }),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "" | "auto" => Some(Self::Auto),
            "uring" => Some(Self::Uring),
            "poll" => Some(Self::Poll),
            _ => None,
        }
    }
}

/// Says, once in the process, that epoll takes the place of io_uring.
pub(crate) fn warn_of_fallback(error: &BuildError) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        trace::ring_replaced(error);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_documentation() {
        assert_eq!(Driver::from_name("poll"), Some(Driver::Poll));
        assert_eq!(Driver::from_name("uring"), Some(Driver::Uring));
        assert_eq!(Driver::from_name("auto"), Some(Driver::Auto));
        assert_eq!(Driver::from_name("epoll"), None);
    }

    #[test]
    fn what_the_program_chose_stays() {
        for driver in [Driver::Uring, Driver::Poll] {
            assert_eq!(driver.resolve().expect("chosen"), driver);
        }
    }
}
