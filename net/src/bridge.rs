//! A bridge to tokio's runtime, for libraries that call its `spawn`, its timers or its sockets inside. With the feature
//! `bridge`.
//!
//! Such a library panics elsewhere ("there is no reactor running"). [`in_tokio`] makes a future in which it works: at every
//! poll, and when it is dropped, the thread is inside a runtime of tokio's. What the library spawns, and what it waits for of
//! tokio's, runs there, on a thread of that runtime; the future itself stays a part of its task here. It is a bridge and no
//! home: each wake-up crosses from one runtime to the other, which costs some microseconds, and what runs over there knows
//! nothing of scopes. A library that is generic over its I/O is better served by [`Compat`](crate::io::Compat) or
//! [`hyper`](crate::hyper).
//!
//! A service of tower's that calls tokio in its `call`, before there is a future, is made one by
//! `service_fn(move |request| in_tokio(service.clone().oneshot(request)))`, with `oneshot` of tower's `ServiceExt`.
//!
//! # Cancel safety
//!
//! tokio's futures are no checkpoints: cancelled, they are dropped where they wait, inside the runtime of theirs. Tasks that
//! the library has spawned go on, as they do in tokio.
//!
//! # Examples
//!
//! ```
//! use heist_net::bridge::in_tokio;
//! use std::time::Duration;
//!
//! heist_runtime::block_on(async {
//!     let answer = in_tokio(async {
//!         tokio::time::sleep(Duration::from_millis(1)).await;
//!         tokio::spawn(async { 6 * 7 }).await
//!     });
//!     assert_eq!(answer.await.unwrap(), 42);
//! });
//! ```

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

/// A runtime of tokio's that futures here may use. Clones are the same one.
#[derive(Clone)]
pub struct TokioBridge {
    handle: Handle,
    /// Ended with the last clone, if the bridge has made it.
    _own: Option<Arc<Own>>,
}

struct Own(Mutex<Option<Runtime>>);

impl Drop for Own {
    fn drop(&mut self) {
        let runtime = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            // Waiting would block a worker.
            runtime.shutdown_background();
        }
    }
}

impl TokioBridge {
    /// Starts a runtime with one thread. It ends with the last clone, and the last future of it.
    ///
    /// # Errors
    ///
    /// When the thread, or what its reactor needs, cannot be had.
    pub fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("tokio-bridge");
        let runtime = builder.enable_all().build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            _own: Some(Arc::new(Own(Mutex::new(Some(runtime))))),
        })
    }

    /// Uses a runtime that is there, with whatever its timers and reactor are enabled for. It must outlive the futures.
    #[must_use]
    pub fn from_handle(handle: Handle) -> Self {
        Self { handle, _own: None }
    }

    /// The runtime that all of the process share, started by the first who asks.
    ///
    /// # Panics
    ///
    /// When it cannot be started; [`new`](Self::new) gives the error.
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: OnceLock<TokioBridge> = OnceLock::new();
        let start = || match Self::new() {
            Ok(bridge) => bridge,
            Err(error) => panic!("tokio's runtime for the bridge cannot be started: {error}"),
        };
        SHARED.get_or_init(start).clone()
    }

    /// Makes `future` one that is polled, and dropped, inside the runtime.
    pub fn run<F: IntoFuture>(&self, future: F) -> InTokio<F::IntoFuture> {
        let _entered = self.handle.enter();
        InTokio {
            future: Some(future.into_future()),
            bridge: self.clone(),
        }
    }

    /// Makes it the current runtime of tokio's on this thread while the guard lives: for what needs one when it is made.
    /// Not to be held over an `await`.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// tokio's own handle.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl fmt::Debug for TokioBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioBridge").finish_non_exhaustive()
    }
}

/// Makes `future` one that is polled, and dropped, inside the [shared](TokioBridge::shared) runtime (async-compat:
/// `Compat`).
///
/// # Panics
///
/// As [`TokioBridge::shared`].
pub fn in_tokio<F: IntoFuture>(future: F) -> InTokio<F::IntoFuture> {
    TokioBridge::shared().run(future)
}

pin_project! {
    /// A future inside tokio's runtime; see [`in_tokio`] and [`TokioBridge::run`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InTokio<F> {
        #[pin]
        future: Option<F>,
        bridge: TokioBridge,
    }

    impl<F> PinnedDrop for InTokio<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.bridge.handle.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InTokio<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = this.bridge.handle.enter();
        let future = this.future.as_mut().as_pin_mut();
        future.expect("it is there until it is dropped").poll(cx)
    }
}

impl<F> fmt::Debug for InTokio<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTokio").finish_non_exhaustive()
    }
}
