//! The driver: one ring per worker, of io_uring's or an emulated one.
//!
//! In reading order, along the journey of an operation:
//!
//! - [`op`]: an operation as a future; who owns its memory in which phase
//! - [`multishot`]: one submission with many completions, and [`queue`] between reaper and consumer
//! - [`slab`], [`slot`]: the places that operations share with the kernel
//! - [`local`]: the owner's half of a driver: submission, back-pressure, cancels
//! - [`remote`]: the half that other threads may use: mailbox, wake-up, CQ lock
//! - [`reap`]: delivering completions, and [`completion`], what one says
//! - [`buffers`]: receive buffers that the kernel picks from
//! - [`ring`], [`sys`]: the only contact with the kernel
//! - [`poll`]: what takes the kernel's place where io_uring is denied
//! - [`probe`]: what this kernel can do, and [`choice`]: which driver a runtime gets

pub(crate) mod op;
pub(crate) mod multishot;
pub(crate) mod queue;
pub(crate) mod slab;
pub(crate) mod slot;
pub(crate) mod left;
pub(crate) mod local;
pub(crate) mod remote;
pub(crate) mod reap;
pub(crate) mod completion;
pub(crate) mod buffers;
pub(crate) mod ring;
mod poll;
pub(crate) mod sys;
pub(crate) mod probe;
pub(crate) mod choice;
