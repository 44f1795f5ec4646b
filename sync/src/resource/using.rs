//! `using`: a resource for the time of a block.

use super::{AsyncClose, How};
use heist_runtime::scope::{Cleanup, Scope, catch, count_skipped};
use std::future::Future;

/// Runs `body` with a resource and closes it afterwards: when the body has returned, panicked or was
/// cancelled, and even when the future is dropped half-way or was never polled (asyncio: `async with`).
///
/// Closing is awaited before anything after it runs, also while a cancellation unwinds: inner resources are
/// closed before outer ones. When foreign code drops the future, the nearest scope around that has not ended
/// closes the resource, and cannot end before.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::resource::{AsyncClose, How, using};
///
/// struct Connection(Vec<&'static str>);
///
/// impl AsyncClose for Connection {
///     async fn close(self, how: How) {
///         heist_runtime::yield_now().await; // say goodbye
///         assert_eq!((self.0.len(), how), (1, How::Done));
///     }
/// }
///
/// let rows = using(Connection(Vec::new()), async |connection| {
///     connection.0.push("select");
///     3
/// })
/// .await;
/// assert_eq!(rows, 3);
/// # });
/// ```
///
/// # Panics
///
/// With the panic of the body, or of `close`, which replaces it. When it is polled again after a cancelled
/// scope has ended it.
///
/// # Cancel safety
///
/// The resource is closed in any case, but for an abort, which drops it, and counts that.
pub fn using<R, T, B>(resource: R, body: B) -> Using<impl Future<Output = T>>
where
    R: AsyncClose,
    B: AsyncFnOnce(&mut R) -> T,
{
    // Now, and not at the first poll: a future that is never polled closes the resource, too.
    let mut guard = Guard {
        resource: Some(resource),
        scope: Scope::keeping_cleanups("using"),
        around: Scope::current(),
    };
    Using::new(async move {
        guard.around = Scope::current().or_else(|| guard.around.take());
        let scope = guard.scope.clone();
        let exit = {
            let resource = guard.resource.as_mut().expect("taken only below");
            catch(&scope, body(resource)).await
        };
        let resource = guard.resource.take().expect("taken once");
        // A drop from here on leaves what is left to the scope around.
        Cleanup::new(resource.close(How::of(&exit))).await;
        exit.propagate().await
    })
}

/// Opens a resource and runs `body` with it, as [`using`] does.
///
/// # Errors
///
/// That of `open`, in which case there is nothing to close, or that of the body.
///
/// # Panics
///
/// As [`using`].
///
/// # Cancel safety
///
/// That of `open` until it is done, then that of [`using`].
pub async fn try_using<R, T, E>(
    open: impl Future<Output = Result<R, E>>,
    body: impl AsyncFnOnce(&mut R) -> Result<T, E>,
) -> Result<T, E>
where
    R: AsyncClose,
{
    let resource = open.await?;
    using(resource, body).await
}

/// Closes the resource when its future is dropped half-way.
struct Guard<R: AsyncClose> {
    resource: Option<R>,
    scope: Scope,
    around: Option<Scope>,
}

impl<R: AsyncClose> Drop for Guard<R> {
    fn drop(&mut self) {
        let Some(resource) = self.resource.take() else {
            return;
        };
        let inner = self.scope.take_cleanups();
        let Some(around) = self.around.take() else {
            count_skipped(1);
            return;
        };
        around.adopt(async move {
            // What was opened within first.
            for cleanup in inner {
                cleanup.await;
            }
            resource.close(How::Dropped).await;
        });
    }
}

pin_project_lite::pin_project! {
    /// The future of [`using`].
    #[must_use = "the resource is closed at once if the future is not awaited"]
    pub struct Using<F> {
        #[pin]
        future: F,
    }
}

impl<F> Using<F> {
    fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for Using<F> {
    type Output = F::Output;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F> std::fmt::Debug for Using<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Using").finish_non_exhaustive()
    }
}
