//! Waiting for a future on a thread that is no worker.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Wakes by unparking a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until the future is done.
///
/// # Panics
///
/// In a task of the runtime, whose worker would be blocked with all its other tasks.
#[track_caller]
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    assert!(
        heist_runtime::task::try_id().is_none(),
        "this would block a worker; await in a task, or call it in `spawn_blocking`"
    );
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        // An unpark that comes before the park makes it return at once, so none is lost.
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park();
    }
}
