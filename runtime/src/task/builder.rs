//! Spawning with a name.

use std::future::Future;
use std::sync::Arc;

use crate::handle::Handle;
use crate::large::{carried, is_boxed_to_spawn};
use crate::scope::Scope;
use crate::task::JoinHandle;

/// Sets what a plain [`spawn`](crate::spawn) leaves open.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let task = heist_runtime::task::Builder::new().name("answer").spawn(async { 42 });
///     assert_eq!(task.name(), Some("answer"));
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[derive(Debug, Default, Clone)]
pub struct Builder {
    name: Option<Arc<str>>,
    scope: Option<Scope>,
}

impl Builder {
    /// Starts with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task, for dumps and traces.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Puts the task below a scope: when that is cancelled, so is the task. The scope does not wait for it;
    /// whoever builds groups of tasks on this does.
    ///
    /// By default a task is nobody's child, and goes on when the one that spawned it is cancelled.
    #[must_use]
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.scope = Some(scope.clone());
        self
    }

    /// As [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on(future, &Handle::current())
    }

    /// As [`Handle::spawn`], in the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        carried!(is_boxed_to_spawn::<F>(), future => {
            handle.spawn_under(self.scope.as_ref(), self.name, future)
        })
    }

    /// As [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Outside a runtime, and as [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking_on(f, &Handle::current())
    }

    /// As [`Handle::spawn_blocking`], on the threads of the runtime of `handle`.
    ///
    /// # Panics
    ///
    /// As there.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(self, f: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        handle.spawn_blocking_under(self.scope.as_ref(), self.name, f)
    }

    /// As [`spawn_local`](crate::spawn_local).
    ///
    /// # Panics
    ///
    /// Outside a worker of a runtime.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        carried!(is_boxed_to_spawn::<F>(), future => {
            crate::context::spawn_local(self.scope.as_ref(), self.name, future)
        })
    }
}
