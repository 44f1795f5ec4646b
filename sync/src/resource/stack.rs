//! `exit_stack`: cleanups that become known one by one.

use super::{AsyncClose, How};
use heist_runtime::scope::{Cleanup, Scope, catch, count_skipped};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
type Callback = Box<dyn FnOnce(How) -> Boxed + Send>;

/// Cleanups to be run at the end of a block, the last one first; see [`exit_stack`].
pub struct ExitStack {
    callbacks: Vec<Callback>,
    scope: Scope,
    around: Option<Scope>,
}

impl ExitStack {
    /// Has a resource closed at the end.
    pub fn push<R: AsyncClose>(&mut self, resource: R) {
        self.callbacks
            .push(Box::new(|how| Box::pin(resource.close(how))));
    }

    /// Has a function called at the end, whose future is awaited (asyncio: `push_async_callback`).
    pub fn defer<F>(&mut self, callback: impl FnOnce(How) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.push(Box::new(|how| Box::pin(callback(how))));
    }

    /// How many cleanups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.callbacks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.callbacks.is_empty()
    }
}

impl fmt::Debug for ExitStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitStack")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Callbacks that are being run as one cleanup. Dropped with it, they are skipped.
struct Rest {
    callbacks: Vec<Callback>,
    /// Whether one has begun and not ended.
    running: bool,
}

impl Rest {
    fn new(callbacks: Vec<Callback>) -> Self {
        Self {
            callbacks,
            running: false,
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // Whoever skips the cleanup counts one.
        let skipped = self.callbacks.len() + usize::from(self.running);
        count_skipped(skipped.saturating_sub(1) as u64);
    }
}

/// Runs every callback, also after one has panicked; the first panic goes on.
async fn unwind(mut rest: Rest, how: How) {
    let mut panicked = None;
    while let Some(callback) = rest.callbacks.pop() {
        rest.running = true;
        let call = async move { callback(how).await };
        let exit = catch(&Scope::named("exit"), call).await;
        if let heist_runtime::scope::Exit::Panicked(payload) = exit {
            panicked.get_or_insert(payload);
        }
        rest.running = false;
    }
    if let Some(payload) = panicked {
        std::panic::resume_unwind(payload);
    }
}

impl Drop for ExitStack {
    fn drop(&mut self) {
        let callbacks = std::mem::take(&mut self.callbacks);
        let inner = self.scope.take_cleanups();
        if callbacks.is_empty() && inner.is_empty() {
            return;
        }
        let Some(around) = self.around.take() else {
            count_skipped(callbacks.len() as u64);
            return;
        };
        let only_inner = callbacks.is_empty();
        let rest = Rest::new(callbacks);
        let cleanup = async move {
            for cleanup in inner {
                cleanup.await;
            }
            unwind(rest, How::Dropped).await;
        };
        // Those within count themselves.
        if only_inner {
            around.adopt_wait(cleanup);
        } else {
            around.adopt(cleanup);
        }
    }
}

/// Runs `body` with a stack of cleanups, and then those, the last one first, however the body ended
/// (asyncio: `AsyncExitStack`).
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::resource::exit_stack;
/// use std::sync::{Arc, Mutex};
///
/// let log = Arc::new(Mutex::new(Vec::new()));
/// exit_stack(async |stack| {
///     for index in 0..3 {
///         let log = Arc::clone(&log);
///         stack.defer(move |_how| async move { log.lock().unwrap().push(index) });
///     }
/// })
/// .await;
/// assert_eq!(*log.lock().unwrap(), [2, 1, 0]);
/// # });
/// ```
///
/// # Panics
///
/// With the panic of the body, or with the first one of the cleanups, which replaces it; all are run.
///
/// # Cancel safety
///
/// As [`using`](super::using()): the cleanups are run in any case but that of an abort.
pub async fn exit_stack<T>(body: impl AsyncFnOnce(&mut ExitStack) -> T) -> T {
    let scope = Scope::keeping_cleanups("exit_stack");
    let mut stack = ExitStack {
        callbacks: Vec::new(),
        scope: scope.clone(),
        around: Scope::current(),
    };
    let exit = catch(&scope, body(&mut stack)).await;
    let callbacks = std::mem::take(&mut stack.callbacks);
    if !callbacks.is_empty() {
        Cleanup::new(unwind(Rest::new(callbacks), How::of(&exit))).await;
    }
    exit.propagate().await
}
