//! A handle whose task does not outlive it.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task::{JoinError, JoinHandle};

/// A [`JoinHandle`] that cancels its task when it is dropped; made by
/// [`JoinHandle::cancel_on_drop`].
///
/// The drop does not wait: the task unwinds on its own. Awaiting it gives the task's output; a task that has
/// completed is not disturbed.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let task = heist_runtime::spawn(std::future::pending::<()>()).cancel_on_drop();
///     let watch = task.abort_handle();
///     drop(task);
///     while !watch.is_finished() {
///         heist_runtime::yield_now().await;
///     }
/// });
/// ```
#[derive(Debug)]
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<T>(JoinHandle<T>);

impl<T> CancelOnDrop<T> {
    pub(super) fn new(handle: JoinHandle<T>) -> Self {
        Self(handle)
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        &self.0
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
