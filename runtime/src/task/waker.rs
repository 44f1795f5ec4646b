//! Wakers of tasks: a counted pointer and four functions.

#![expect(unsafe_code, reason = "a RawWaker over the task's reference count")]

use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::scheduler;
use crate::task::raw::{Header, TaskRef};
use crate::task::state::Wake;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// A waker that borrows the caller's reference.
///
/// # Safety
///
/// The waker is not dropped, and not used after the caller's reference is gone.
pub(crate) unsafe fn borrowed(task: TaskRef) -> Waker {
    let raw = RawWaker::new(task.as_ptr().as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the functions below keep the contract of `RawWaker`; they are thread-safe.
    unsafe { Waker::from_raw(raw) }
}

impl TaskRef {
    /// A waker of the task.
    pub(crate) fn waker(self) -> Waker {
        self.header().state.add_reference();
        // SAFETY: the reference just counted is the waker's, which gives it back when it is dropped.
        unsafe { borrowed(self) }
    }
}

/// Whether `waker` is one of `task`.
#[inline]
pub(crate) fn is_of(waker: &Waker, task: TaskRef) -> bool {
    // The functions too: another's waker may have any pointer.
    waker.data() == task.as_ptr().as_ptr().cast_const().cast()
        && std::ptr::eq(waker.vtable(), &raw const VTABLE)
}

fn task(data: *const ()) -> TaskRef {
    let header = NonNull::new(data.cast_mut()).expect("a waker points to its task");
    TaskRef::from_header(header.cast::<Header>())
}

fn clone(data: *const ()) -> RawWaker {
    task(data).header().state.add_reference();
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    let task = task(data);
    match task.header().state.wake_by_value() {
        Wake::Schedule => scheduler::schedule(task),
        Wake::Nothing => {}
        Wake::Free => task.free(),
    }
}

fn wake_by_ref(data: *const ()) {
    let task = task(data);
    if task.header().state.wake() == Wake::Schedule {
        scheduler::schedule(task);
    }
}

fn release(data: *const ()) {
    task(data).drop_reference();
}
