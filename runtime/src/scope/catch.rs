//! `catch`: runs a future in a scope. Everything that ends a cancellation is built on it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::scope::drive::{Body, Unwinding, drive};
use crate::scope::tree::Owner;
use crate::scope::{Exit, Scope, cancel_requested, current};

pin_project! {
    /// The future of [`catch`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Catch<F: Future> {
        owner: Owner,
        #[pin]
        body: Option<F>,
        // What only a scope that is cancelled, or has adopted, needs.
        // By exclusive access only, so that the whole can be shared as far as the future can.
        unwinding: SyncWrapper<Option<Box<Unwinding<F::Output>>>>,
    }

    impl<F: Future> PinnedDrop for Catch<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = current::enter(this.owner.node());
            this.body.set(None);
            // Cleanups that are half done are adopted before the scope closes, then go up with the others.
            drop(this.unwinding.get_mut().take());
        }
    }
}

/// Runs `future` in `scope` and says how it ended: with a value, by a cancellation of `scope` or of one
/// around it, or with a panic. When it returns, everything in the scope has been cleaned up.
///
/// This is the primitive under timeouts, races, groups and resources. Whoever catches a cancellation that
/// was not meant for it hands it on by [`Exit::propagate`].
///
/// A cancelled future is polled on until all that is left in it is futures that wait for good; then it is
/// dropped. A value that it comes up with meanwhile wins.
///
/// # Cancel safety
///
/// Dropping it drops the future; cleanups that belong to it go to the nearest scope that has not ended.
///
/// # Panics
///
/// When `scope` is used for the second time.
///
/// # Examples
///
/// ```
/// use heist_runtime::scope::{Exit, Reason, Scope, catch};
///
/// heist_runtime::block_on(async {
///     let scope = Scope::new();
///     let exit = catch(&scope, async {
///         scope.cancel(Reason::Explicit);
///         heist_runtime::yield_now().await; // a cancelled scope ends at the next await that waits
///         unreachable!()
///     })
///     .await;
///     assert!(matches!(exit, Exit::<()>::Cancelled(Reason::Explicit)));
/// });
/// ```
#[track_caller]
pub fn catch<F: Future>(scope: &Scope, future: F) -> Catch<F> {
    Catch {
        owner: Owner::new(scope.node().clone()),
        body: Some(future),
        unwinding: SyncWrapper::new(None),
    }
}

/// The body of a `Catch`, for `drive`.
struct Pinned<'a, 'b, F>(&'a mut Pin<&'b mut Option<F>>);

impl<F: Future> Body for Pinned<'_, '_, F> {
    type Output = F::Output;

    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn may_begin(&self) -> bool {
        // A scope within a task that runs begins like the code before it.
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> std::thread::Result<Poll<F::Output>> {
        let body = self.0.as_mut().as_pin_mut().expect("it is there");
        catch_unwind(AssertUnwindSafe(|| body.poll(cx)))
    }

    fn drop(&mut self) -> std::thread::Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.0.set(None)))
    }
}

impl<F: Future> Catch<F> {
    /// The future, while it has not ended.
    pub fn get_ref(&self) -> Option<&F> {
        self.body.as_ref()
    }

    /// The future, while it has not ended.
    pub fn get_mut(&mut self) -> Option<&mut F> {
        self.body.as_mut()
    }

    /// The future, if it has not ended, without the scope.
    pub fn into_inner(mut self) -> Option<F> {
        self.body.take()
    }

    /// Takes the future out of a scope that has not ended, to go on elsewhere.
    pub(super) fn take_body(self: Pin<&mut Self>) -> Option<F>
    where
        F: Unpin,
    {
        self.project().body.get_mut().take()
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(super) fn owner_mut(self: Pin<&mut Self>) -> &mut Owner {
        self.project().owner
    }
}

/// Whether a poll takes more than a poll.
#[inline]
fn needs_care(owner: &Owner) -> bool {
    let flags = owner.node().flags.get();
    flags.needs_care() || (flags.is_shield() && cancel_requested())
}

impl<F: Future> Future for Catch<F> {
    type Output = Exit<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        this.owner.link_to_current();
        let mut body = Pinned(&mut this.body);
        let unwinding = this.unwinding.get_mut();
        if unwinding.is_none() && !needs_care(this.owner) {
            let exit = {
                let _entered = current::enter(this.owner.node());
                match body.poll(cx) {
                    Ok(Poll::Pending) => None,
                    Ok(Poll::Ready(value)) => Some(Exit::Value(value)),
                    Err(payload) => Some(Exit::Panicked(payload)),
                }
            };
            match exit {
                None => {
                    // Before the look, so that a cancel that comes later finds the waker.
                    this.owner.register(cx.waker());
                    if !needs_care(this.owner) {
                        return Poll::Pending;
                    }
                }
                Some(exit) => {
                    let exit = dispose(this.owner, &mut body, exit);
                    if this.owner.close() {
                        return Poll::Ready(exit);
                    }
                    unwinding.get_or_insert_default().exit = Some(exit);
                }
            }
        }
        this.owner.register(cx.waker());
        let unwinding = unwinding.get_or_insert_default();
        drive(this.owner.node(), unwinding, &mut body, cx)
    }
}

/// Drops a body that is done. A panic of its destructor is the exit, unless the body panicked before.
#[inline]
fn dispose<F: Future>(
    owner: &Owner,
    body: &mut Pinned<'_, '_, F>,
    exit: Exit<F::Output>,
) -> Exit<F::Output> {
    let _entered = current::enter(owner.node());
    match body.drop() {
        Ok(()) => exit,
        Err(payload) if matches!(exit, Exit::Panicked(_)) => {
            crate::panics::report("destructor", payload);
            exit
        }
        Err(payload) => Exit::Panicked(payload),
    }
}

impl<F: Future> std::fmt::Debug for Catch<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catch")
            .field("scope", self.owner.node())
            .field("ended", &self.body.is_none())
            .finish()
    }
}
