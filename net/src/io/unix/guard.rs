//! What a wait at a descriptor has found.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::AsyncFd;
use super::async_fd::would_block;
use crate::io::Ready;

/// A call within a guard would have blocked: wait again.
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor was not ready after all; wait again")
    }
}

impl Error for TryIoError {}

macro_rules! guard {
    ($(#[$doc:meta])+ $name:ident, $($mutability:tt)?) => {
        $(#[$doc])+
        #[must_use = "the descriptor counts as ready until the guard is told that it is not"]
        pub struct $name<'a, T: AsFd> {
            fd: &'a $($mutability)? AsyncFd<T>,
            ready: Ready,
        }

        impl<T: AsFd + fmt::Debug> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("fd", &self.fd)
                    .field("ready", &self.ready)
                    .finish()
            }
        }

        impl<'a, T: AsFd> $name<'a, T> {
            pub(super) fn new(fd: &'a $($mutability)? AsyncFd<T>, ready: Ready) -> Self {
                Self { fd, ready }
            }

            /// What was ready.
            #[must_use]
            pub fn ready(&self) -> Ready {
                self.ready
            }

            /// Notes that it is ready no more, so that the next wait asks the kernel. Call it only after a call has
            /// said `WouldBlock`, or the next wait returns at once.
            pub fn clear_ready(&mut self) {
                self.clear_ready_matching(self.ready);
            }

            /// As [`clear_ready`](Self::clear_ready), of some of it.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                self.fd.forget(ready);
                self.ready = self.ready - ready;
            }

            /// Notes that it is still ready, which is what happens without this.
            pub fn retain_ready(&mut self) {}

            /// What the descriptor was made of.
            #[must_use]
            pub fn get_inner(&self) -> &T {
                self.fd.get_ref()
            }

            /// The descriptor.
            #[must_use]
            pub fn get_ref(&self) -> &AsyncFd<T> {
                self.fd
            }

            /// Calls `call`, and notes it when that would block.
            ///
            /// # Errors
            ///
            /// [`TryIoError`] when `call` says `WouldBlock`: wait again. Other errors of it are within the `Ok`.
            pub fn try_io<R>(
                &mut self,
                call: impl FnOnce(&$($mutability)? AsyncFd<T>) -> io::Result<R>,
            ) -> Result<io::Result<R>, TryIoError> {
                let outcome = call(self.fd);
                if would_block(&outcome) {
                    self.clear_ready();
                    return Err(TryIoError(()));
                }
                Ok(outcome)
            }
        }
    };
}

guard! {
    /// What a wait at an [`AsyncFd`] has found.
    AsyncFdReadyGuard,
}

guard! {
    /// What a wait at an [`AsyncFd`] has found, with the inside lent mutably.
    AsyncFdReadyMutGuard, mut
}

impl<T: AsFd> AsyncFdReadyMutGuard<'_, T> {
    /// What the descriptor was made of.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }

    /// The descriptor.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }
}
