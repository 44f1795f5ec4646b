//! The limit of all connections of a client, idle ones included.
//!
//! A right to be open is a permit of a fair semaphore, which a connection keeps for as long as it lives. It is
//! asked for behind the slot of a host, by those only who are about to connect.
//!
//! Who finds none left has the oldest idle connection closed; and until it has got its permit, every connection
//! that becomes idle has another closed (which may be itself). Either the one who waits sees the idle connection, or
//! who makes it idle sees the one who waits: both look behind the pool's lock. A busy host hands its
//! connections from request to request, and would keep them from other hosts for ever; so while somebody waits, a
//! connection is given up after [`TURNS`] exchanges.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use heist_sync::{OwnedSemaphorePermit, Semaphore};

/// Exchanges of a connection between two looks at whether other hosts wait.
pub(super) const TURNS: u64 = 16;

/// The right to be open.
pub(super) type Permit = OwnedSemaphorePermit;

/// All rights that there are.
#[derive(Debug)]
pub(super) struct Total {
    permits: Arc<Semaphore>,
    wanting: AtomicUsize,
}

/// Somebody waits; until this is dropped.
struct Wanting<'a>(&'a AtomicUsize);

impl Total {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            wanting: AtomicUsize::new(0),
        }
    }

    /// A permit, if there is one and nobody waits.
    pub(super) fn try_acquire(&self) -> Option<Permit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// Waits for a permit; `make_room` closes an idle connection.
    pub(super) async fn acquire(&self, make_room: impl FnOnce()) -> Permit {
        self.wanting.fetch_add(1, SeqCst);
        let _wanting = Wanting(&self.wanting);
        make_room();
        let permit = self.permits.clone().acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanting.load(SeqCst) > 0
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
