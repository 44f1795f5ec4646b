//! A value that changes, and tasks that watch it. It needs no runtime and works under any executor.
//!
//! tokio's `watch` in names and signatures; asyncio has none. Receivers see the last value, and not
//! every one before it: it suits configuration, progress, and "stop now".
//!
//! ```
//! # heist_runtime::block_on(async {
//! use heist_sync::watch;
//!
//! let (sender, mut receiver) = watch::channel("starting");
//! let task = heist_runtime::spawn(async move {
//!     receiver.wait_for(|state| *state == "ready").await.map(|state| state.len())
//! });
//! sender.send("ready").expect("the task has the receiver");
//! assert_eq!(task.await.expect("no panic"), Ok(5));
//! # });
//! ```
//!
//! In reading order:
//!
//! - `shared`: the value, its version, and those who wait.
//! - `until`: the future that waits.
//! - `receiver`: the end that sees the value; the one that sets it is here.
//! - `error`: why nothing was sent or received.

mod shared;
mod until;
mod receiver;
/// The errors of [`channel`].
pub mod error;

pub use receiver::{Receiver, Ref};

use error::SendError;
use heist_runtime::scope::Leaf;
use shared::Shared;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use until::Until;

/// A channel for the last value, which counts as seen at first.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(value, 1));
    let receiver = Receiver {
        shared: Arc::clone(&shared),
        seen: 0,
    };
    (Sender { shared }, receiver)
}

/// Sets the value of a [`channel`]. Once all senders are dropped, receivers that have seen the last
/// value get an error.
///
/// Setting it takes a short lock, and one of those who wait; reading blocks it for a moment.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A sender without a receiver; see [`subscribe`](Self::subscribe).
    pub fn new(value: T) -> Self {
        Self {
            shared: Arc::new(Shared::new(value, 0)),
        }
    }

    /// Sets the value and wakes all receivers.
    ///
    /// # Errors
    ///
    /// With the value, if there is no receiver; then it is not set.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value in place, also if there is no receiver, and wakes all receivers.
    ///
    /// The value is locked while the closure runs, which must not use the channel. If it panics, nobody
    /// is woken, and the value stays as it left it.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Like [`send_modify`](Self::send_modify), but wakes nobody if the closure returns `false`. Returns
    /// what that returned.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        self.shared.modify(modify)
    }

    /// Sets the value, also if there is no receiver, wakes all receivers, and returns the old value.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|old| mem::swap(old, &mut value));
        value
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref {
            value: self.shared.read(),
            changed: false,
        }
    }

    /// Another receiver, for which the value of now counts as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.add_receiver();
        Receiver {
            shared: Arc::clone(&self.shared),
            seen: self.shared.version().changes,
        }
    }

    /// Waits until there is no receiver. Done at once if that is so.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        let shared = &*self.shared;
        Until::new(&shared.deserted, Leaf::here(), || {
            (shared.receivers() == 0).then_some(())
        })
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers()
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.shared.senders()
    }

    /// Whether both belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.drop_sender();
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
