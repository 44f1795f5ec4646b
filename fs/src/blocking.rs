//! Calls that block, on the pool.

use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use heist_runtime::task::JoinHandle;
use heist_runtime::{JoinError, spawn_blocking};

/// Makes a call that blocks on the pool. A panic of it goes on here.
pub(crate) async fn run<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    outcome(start(call).await)
}

/// As [`run`], for those that poll the handle themselves.
pub(crate) fn start<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn_blocking(call)
}

pub(crate) fn outcome<T>(joined: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    joined.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(_) => Err(io::Error::other(
            "the runtime was shut down before this began; await it while the runtime runs",
        )),
    })
}

/// A call with a path.
pub(crate) async fn with_path<T: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.as_ref().to_owned();
    run(move || call(path)).await
}
