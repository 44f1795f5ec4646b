//! Task ids.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a task within the process; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

/// Ids a thread takes from the common counter at a time, so that spawning touches no shared line.
const BLOCK: u64 = 1024;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The next id of this thread's block.
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

impl Id {
    /// A fresh id.
    pub(crate) fn next() -> Self {
        // `try_with`: destructors of other thread locals may still spawn.
        let id = NEXT.try_with(|next| {
            let mut id = next.get();
            if id % BLOCK == 0 {
                id = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * BLOCK;
            }
            next.set(id + 1);
            id
        });
        let id = id.unwrap_or_else(|_| NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * BLOCK);
        Self(NonZeroU64::new(id).expect("blocks start above zero"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
