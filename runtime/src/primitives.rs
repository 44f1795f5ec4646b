//! The atomics, cells and locks that the lock-free parts are built on: the standard library's, or
//! loom's under `--cfg loom`, so that the same source runs and is model-checked.

#[cfg(not(loom))]
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

#[cfg(loom)]
pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::thread::yield_now;

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::thread::yield_now;

/// A cell whose accesses loom can check; outside loom it is `std::cell::UnsafeCell`.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Hands out a pointer for reading; the caller guarantees that nobody writes meanwhile.
    #[inline(always)]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Hands out a pointer for writing; the caller guarantees exclusive access meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// What the models use in place of tasks.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use super::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    /// Whether somebody was woken, handed over as a task's state hands it over: a poll that finds itself
    /// woken sees what was done before the wake.
    #[derive(Debug)]
    pub(crate) struct Flag(AtomicBool);

    impl Flag {
        /// A flag and the waker that sets it.
        pub(crate) fn new() -> (Arc<Self>, Waker) {
            let flag = Arc::new(Self(AtomicBool::new(false)));
            (flag.clone(), Waker::from(flag))
        }

        /// Whether it was woken since the last call.
        pub(crate) fn take(&self) -> bool {
            self.0.swap(false, Ordering::AcqRel)
        }
    }

    /// Runs a model whose interleavings are too many to try all: those in which a thread is interrupted
    /// at most so often.
    pub(crate) fn check_bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(preemptions));
        builder.check(model);
    }

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.swap(true, Ordering::AcqRel);
        }
    }
}
