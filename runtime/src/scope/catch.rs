//! `catch`: runs a future in a scope. Everything that ends a cancellation is built on it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::scope::drive::{Body, Unwinding, drive};
use crate::scope::late::{Late, Limit, Made, Plan};
use crate::scope::tree::Owner;
use crate::scope::{Exit, Scope, cancel_requested, current};
use crate::time::Instant;

pin_project! {
    /// The future of [`catch`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Catch<F: Future> {
        place: Place,
        #[pin]
        body: Option<F>,
        // What only a scope that is cancelled, or has adopted, needs.
        // By exclusive access only, so that the whole can be shared as far as the future can.
        unwinding: SyncWrapper<Option<Box<Unwinding<F::Output>>>>,
    }

    impl<F: Future> PinnedDrop for Catch<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Place::Made(Made { owner, .. }) = this.place else {
                // It has not run, or is over.
                this.body.set(None);
                return;
            };
            let _entered = current::enter(owner.node());
            this.body.set(None);
            // Cleanups that are half done are adopted before the scope closes, then go up with the others.
            drop(this.unwinding.get_mut().take());
        }
    }
}

/// Where a body runs.
#[derive(Debug)]
enum Place {
    /// In a scope that is not made yet. Such a body has not been polled, or is gone.
    Late(Plan),
    Made(Made),
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
    let owner = Owner::new(scope.clone());
    Catch {
        place: Place::Made(Made { owner, at: None }),
        body: Some(future),
        unwinding: SyncWrapper::new(None),
    }
}

/// [`catch()`] in a new scope that is only made when it is needed: a future that is ready at its first poll
/// costs next to nothing. `name` is what dumps call it.
///
/// The scope does not cancel itself when `limit` has come; whoever polls this sees to it, with
/// [`Catch::scope`].
///
/// # Cancel safety
///
/// As for [`catch()`].
pub fn catch_late<F: Future>(name: &'static str, limit: Limit, future: F) -> Catch<F> {
    Catch {
        place: Place::Late(Plan { name, limit }),
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
        let body = self.0.as_mut().as_pin_mut();
        let body = body.expect("a scope was polled after its end");
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

    /// Puts a scope that has not run below the current one.
    pub(super) fn link_to_current(self: Pin<&mut Self>) {
        if let Place::Made(made) = self.project().place {
            made.owner.link_to_current();
        }
    }

    /// The scope, once it is there: at the latest when a poll was pending.
    pub fn scope(&self) -> Option<&Scope> {
        match &self.place {
            Place::Late(_) => None,
            Place::Made(made) => Some(made.owner.scope()),
        }
    }

    /// When a scope with [`Limit::Within`] was made.
    pub fn made_at(&self) -> Option<Instant> {
        match &self.place {
            Place::Late(_) => None,
            Place::Made(made) => made.at,
        }
    }
}

/// Whether a poll takes more than a poll.
#[inline]
fn needs_care(owner: &Owner) -> bool {
    let flags = owner.node().flags.get();
    flags.needs_care() || (flags.is_shield() && cancel_requested())
}

/// Polls a body in the current scope, and drops it if it is done. A panic of its destructor is the exit, unless
/// the body panicked before.
#[inline]
fn run<F: Future>(body: &mut Pinned<'_, '_, F>, cx: &mut Context<'_>) -> Option<Exit<F::Output>> {
    let exit = match body.poll(cx) {
        Ok(Poll::Pending) => return None,
        Ok(Poll::Ready(value)) => Exit::Value(value),
        Err(payload) => Exit::Panicked(payload),
    };
    Some(match body.drop() {
        Ok(()) => exit,
        Err(payload) if matches!(exit, Exit::Panicked(_)) => {
            crate::panics::report("destructor", payload);
            exit
        }
        Err(payload) => Exit::Panicked(payload),
    })
}

/// The first poll of a body whose scope is not made yet. Without an exit it is made afterwards.
#[inline]
fn run_late<F: Future>(
    plan: Plan,
    body: &mut Pinned<'_, '_, F>,
    cx: &mut Context<'_>,
) -> (Option<Exit<F::Output>>, Option<Made>) {
    let late = Late::new(plan);
    let exit = {
        let _entered = current::enter_late(&late);
        run(body, cx)
    };
    let made = match exit {
        Some(_) => late.into_made(),
        None => Some(late.force()),
    };
    (exit, made)
}

impl<F: Future> Future for Catch<F> {
    type Output = Exit<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut body = Pinned(&mut this.body);
        let first = match this.place {
            Place::Made(_) => None,
            Place::Late(plan) => {
                let (exit, made) = run_late(*plan, &mut body, cx);
                match (exit, made) {
                    (Some(exit), None) => return Poll::Ready(exit),
                    (exit, made) => {
                        *this.place = Place::Made(made.expect("the scope of what is pending"));
                        Some(exit)
                    }
                }
            }
        };
        let Place::Made(Made { owner, .. }) = this.place else {
            unreachable!("made above")
        };
        let unwinding = this.unwinding.get_mut();
        let polled = first.or_else(|| {
            owner.link_to_current();
            (unwinding.is_none() && !needs_care(owner)).then(|| {
                let _entered = current::enter(owner.node());
                run(&mut body, cx)
            })
        });
        match polled {
            None => {}
            Some(None) => {
                // Before the look, so that a cancel that comes later finds the waker.
                owner.register(cx.waker());
                if !needs_care(owner) {
                    return Poll::Pending;
                }
            }
            Some(Some(exit)) => {
                if owner.close() {
                    return Poll::Ready(exit);
                }
                unwinding.get_or_insert_default().exit = Some(exit);
            }
        }
        let unwinding = unwinding.get_or_insert_default();
        unwinding.begin(owner.node());
        owner.register(cx.waker());
        drive(owner.node(), unwinding, &mut body, cx)
    }
}

impl<F: Future> std::fmt::Debug for Catch<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catch")
            .field("scope", &self.scope())
            .field("ended", &self.body.is_none())
            .finish()
    }
}
