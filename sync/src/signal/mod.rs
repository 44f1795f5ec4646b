//! Signals to the process ([`signal(7)`]), after tokio's `signal`. With the feature `signal`.
//!
//! Signals come to processes and not to runtimes, so one thread of the process's, started by the first call, waits for
//! them and tells everybody: this works under any executor.
//!
//! A signal that is listened for once does nothing else from then on, as long as the process lives: after a call of
//! [`ctrl_c`], Ctrl-C no longer ends the program.
//!
//! # Examples
//!
//! ```no_run
//! # async fn serve() {}
//! # async fn run() -> std::io::Result<()> {
//! use heist_sync::signal::{SignalKind, ctrl_c, signal};
//!
//! let mut terminate = signal(SignalKind::terminate())?;
//! heist_sync::select! {
//!     () = serve() => {}
//!     interrupted = ctrl_c() => interrupted?,
//!     _ = terminate.recv() => {}
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`signal(7)`]: https://man7.org/linux/man-pages/man7/signal.7.html

mod kind;
mod listener;

pub use kind::SignalKind;

use std::fmt;
use std::future::Future;
use std::io;

use crate::watch;

/// Where tokio has what this module has itself, for programs that move over.
pub mod unix {
    pub use super::{Signal, SignalKind, signal};
}

/// Listens for one kind of signal; made by [`signal`].
pub struct Signal {
    kind: SignalKind,
    notices: watch::Receiver<()>,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish()
    }
}

impl Signal {
    /// Waits for the next signal since the last one that this listener has told of, or since it was made. Several that
    /// come meanwhile are one, as for the kernel. Never `None`; the type is tokio's.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a signal that comes after the drop is told by the next call.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<()>> + Send {
        let changed = self.notices.changed();
        async move { changed.await.ok() }
    }
}

/// Listens for signals of `kind`. Those that come after this call are noticed.
///
/// # Errors
///
/// `InvalidInput` for what cannot be handled (SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV) and for what is no signal, and
/// those of starting the thread that waits.
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let notices = listener::subscribe(kind.as_raw_value())?;
    Ok(Signal { kind, notices })
}

/// Waits for Ctrl-C (SIGINT), from the first poll on; after tokio's. A loop loses what comes between two calls; use
/// [`signal`] there.
///
/// # Errors
///
/// Those of [`signal`].
///
/// # Cancel safety
///
/// Dropped, it has taken nothing from others that listen.
pub async fn ctrl_c() -> io::Result<()> {
    let _: Option<()> = signal(SignalKind::interrupt())?.recv().await;
    Ok(())
}
