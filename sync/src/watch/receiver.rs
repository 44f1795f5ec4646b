//! The end that sees the value.

use super::error::RecvError;
use super::shared::Shared;
use super::until::Until;
use crate::primitives::RwLockReadGuard;
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::sync::Arc;

/// Sees the value of a [`channel`](super::channel), and waits for changes. A clone has seen what this one
/// has.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
    /// The version that was seen last.
    pub(super) seen: usize,
}

/// The value, which cannot change as long as this is there: keep it for a moment only, and never
/// across an `await`.
pub struct Ref<'a, T> {
    pub(super) value: RwLockReadGuard<'a, T>,
    pub(super) changed: bool,
}

impl<T> Receiver<T> {
    /// The value, without noting that it was seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        let value = self.shared.read();
        let changed = self.shared.version().changes != self.seen;
        Ref { value, changed }
    }

    /// The value, noting that it was seen: [`changed`](Self::changed) waits for the next.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        // Under the lock this is the version of that very value.
        let changes = self.shared.version().changes;
        let changed = changes != self.seen;
        self.seen = changes;
        Ref { value, changed }
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    ///
    /// If all senders were dropped.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        let version = self.shared.version();
        if version.closed {
            return Err(RecvError(()));
        }
        Ok(version.changes != self.seen)
    }

    /// Makes the value count as not seen.
    pub fn mark_changed(&mut self) {
        // As many bits as the number of changes has.
        self.seen = self.shared.version().changes.wrapping_sub(1);
    }

    /// Makes the value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version().changes;
    }

    /// Waits until there is a value that was not seen, and notes that it was. Of several changes in the
    /// meantime only the last can be seen.
    ///
    /// # Errors
    ///
    /// If all senders were dropped, and the last value was seen.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a change counts as seen only once this has returned.
    #[track_caller]
    pub fn changed(&mut self) -> impl Future<Output = Result<(), RecvError>> {
        changed(&self.shared, &mut self.seen, Leaf::here())
    }

    /// Waits until the value is one for which the closure returns `true`, which it may be already.
    /// Every value that the closure was shown counts as seen.
    ///
    /// The value is locked while the closure runs.
    ///
    /// # Errors
    ///
    /// If all senders were dropped, and it is not true of the last value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing but that values count as seen.
    #[track_caller]
    pub fn wait_for(
        &mut self,
        mut found: impl FnMut(&T) -> bool,
    ) -> impl Future<Output = Result<Ref<'_, T>, RecvError>> {
        let leaf = Leaf::here();
        let (shared, seen) = (&*self.shared, &mut self.seen);
        async move {
            poll_fn(|_| leaf.start()).await;
            loop {
                {
                    let value = shared.read();
                    let changes = shared.version().changes;
                    let changed = changes != *seen;
                    *seen = changes;
                    if found(&value) {
                        return Ok(Ref { value, changed });
                    }
                }
                changed(shared, seen, leaf).await?;
            }
        }
    }

    /// Whether both belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

fn changed<'a, T>(
    shared: &'a Shared<T>,
    seen: &'a mut usize,
    leaf: Leaf,
) -> impl Future<Output = Result<(), RecvError>> {
    Until::new(&shared.changed, leaf, move || {
        let version = shared.version();
        if version.changes != *seen {
            *seen = version.changes;
            return Some(Ok(()));
        }
        version.closed.then_some(Err(RecvError(())))
    })
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.drop_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}

impl<T> Ref<'_, T> {
    /// Whether it had not been seen before.
    pub fn has_changed(&self) -> bool {
        self.changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
