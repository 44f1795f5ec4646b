//! Resources whose cleanup awaits: `async with` and `try/finally`.
//!
//! In reading order:
//!
//! - `close`: [`AsyncClose`], what a resource does at its end, and [`How`] it came to that.
//! - `using`: [`using`] and [`try_using`], a resource for the time of a block.
//! - `finally`: [`finally`] and [`on_cancel`], cleanup that borrows.
//! - `stack`: [`exit_stack`], resources that become known one by one.

mod close;
mod using;
mod finally;
mod stack;

pub use close::{AsyncClose, How};
pub use finally::{finally, on_cancel};
pub use stack::{ExitStack, exit_stack};
pub use using::{Using, try_using, using};
