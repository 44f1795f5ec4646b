//! Children that nobody waits for any more.
//!
//! A task of the runtime in which a [`Child`](crate::Child) is dropped waits for its process. When the runtime ends before
//! the process, or there is none, the process goes to a list, which the next start of a child goes through.

use std::sync::{Mutex, MutexGuard, PoisonError};

use heist_runtime::Handle;

use crate::running::Running;

static LEFT: Mutex<Vec<Running>> = Mutex::new(Vec::new());

fn left() -> MutexGuard<'static, Vec<Running>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that a task waits for.
struct Orphan(Option<Running>);

impl Orphan {
    async fn reap(mut self) {
        if let Some(running) = &mut self.0 {
            // An error means that somebody else has waited for it.
            drop(running.wait().await);
        }
        self.0 = None;
    }
}

impl Drop for Orphan {
    /// The task was cancelled.
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            left().push(running);
        }
    }
}

/// Sees to it that `running` does not remain a zombie.
pub(crate) fn adopt(mut running: Running) {
    let Ok(None) = running.child.try_wait() else {
        return;
    };
    // Dropped without a runtime, or in one that has ended, it goes to the list.
    let orphan = Orphan(Some(running));
    if let Some(handle) = Handle::try_current() {
        drop(handle.spawn(orphan.reap()));
    }
}

/// Looks after those that a runtime has left.
pub(crate) fn sweep() {
    let all = std::mem::take(&mut *left());
    all.into_iter().for_each(adopt);
}
