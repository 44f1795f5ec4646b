//! Tasks, as hyper asks for them.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::rt::Executor;
use heist_runtime::Handle;
use heist_runtime::scope::Scope;
use heist_runtime::task::Builder;
use heist_sync::group::TaskGroup;
use pin_project_lite::pin_project;

use super::window::Watched;

/// Spawns what hyper wants to run beside a connection: the streams of HTTP/2, and its drivers (hyper-util:
/// `TokioExecutor`).
///
/// Such a task belongs to the connection, not to whoever polls that at the moment. So by default it is nobody's child: it
/// goes on when the caller is cancelled, and ends when hyper sees that the connection has. With [`scoped`](Self::scoped)
/// it is cancelled with a scope, and unwinds. A panic ends that task only.
///
/// # Examples
///
/// ```
/// use heist_net::hyper::{HeistExecutor, HeistTimer};
/// use hyper::server::conn::http2;
///
/// let mut builder = http2::Builder::new(HeistExecutor::new());
/// builder.timer(HeistTimer::new());
/// ```
#[derive(Clone, Default)]
pub struct HeistExecutor {
    place: Place,
}

/// Where the tasks go.
#[derive(Clone, Default)]
enum Place {
    /// The runtime in which the executor is asked.
    #[default]
    Current,
    On(Handle),
    Below(Handle, Scope),
    /// A group, which waits for them, and in which a client may leave a response alone for as long as that.
    Group(TaskGroup<Infallible>, Option<Duration>),
}

impl HeistExecutor {
    /// Spawns in the runtime in which it is asked to.
    ///
    /// Asked outside a runtime it panics; see [`on`](Self::on).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns in the runtime of `handle`, from any thread.
    #[must_use]
    pub fn on(handle: Handle) -> Self {
        Self {
            place: Place::On(handle),
        }
    }

    /// Spawns in the runtime of `handle`, below `scope`: when that is cancelled the tasks unwind. It does not wait for
    /// them.
    #[must_use]
    pub fn scoped(handle: Handle, scope: &Scope) -> Self {
        Self {
            place: Place::Below(handle, scope.clone()),
        }
    }

    /// Spawns into a group, which has to last as long as whoever asks. A client that leaves no room in the window of a
    /// stream for longer than `patience` loses that.
    pub(super) fn grouped(group: TaskGroup<Infallible>, patience: Option<Duration>) -> Self {
        Self {
            place: Place::Group(group, patience),
        }
    }
}

impl<F> Executor<F> for HeistExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        match &self.place {
            Place::Current => drop(heist_runtime::spawn(future)),
            Place::On(handle) => drop(handle.spawn(future)),
            Place::Below(handle, scope) => {
                drop(Builder::new().scope(scope).spawn_on(future, handle));
            }
            // The group would keep the payload of a panic until it ends.
            Place::Group(group, patience) => {
                drop(group.spawn(Contained::new(Watched::new(future, *patience))));
            }
        }
    }
}

impl fmt::Debug for HeistExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeistExecutor").finish_non_exhaustive()
    }
}

pin_project! {
    /// A future whose panic, which the hook has reported, is its end and nobody else's.
    pub(super) struct Contained<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F> Contained<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future: Some(future),
        }
    }
}

impl<F: Future<Output = ()>> Future for Contained<F> {
    type Output = Result<(), Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(Ok(()));
        };
        // It is not looked at again after a panic, only dropped.
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.poll(cx)));
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        // Here, and not when the task's memory is freed: its end is what others wait for.
        this.future.set(None);
        Poll::Ready(Ok(()))
    }
}
