//! Large futures, and how far they are carried.
//!
//! Unoptimised code copies a value once or twice for each function that it is passed through, and all those copies are
//! on the stack together. A future of 44 KiB, which a few HTTP requests make in a program that is being worked on, took
//! more than a megabyte on its way into the loop of a worker. So a large one is put on the heap at the door.

/// Up to this size, in bytes, a future is carried about as it is. The largest that the runtime's own tests spawn in great
/// numbers are a tenth of that.
const CARRIED: usize = 2048;

/// Whether `block_on` is to box a future of type `F`: one allocation, once.
pub(crate) const fn is_large<F>() -> bool {
    size_of::<F>() > CARRIED
}

/// Whether a spawn is to box a future of type `F` before its task is made. An optimised build writes it straight into
/// the task, which is a spawn's only allocation there.
pub(crate) const fn is_boxed_to_spawn<F>() -> bool {
    cfg!(debug_assertions) && is_large::<F>()
}

/// Calls with the future as it is, or boxed if `$boxed` says so of its type: the branch is gone when it is compiled.
macro_rules! carried {
    ($boxed:expr, $future:ident => $call:expr) => {
        if const { $boxed } {
            let $future = Box::pin($future);
            $call
        } else {
            $call
        }
    };
}
pub(crate) use carried;
