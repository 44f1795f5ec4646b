//! Time: the clock and the timers of each worker.
//!
//! - `instant`: points in time; `pause`, the clock of tests (feature `test-util`)
//! - `timer`: one deadline as a future
//! - `timers`: a worker's timers; `wheel`, the data structure below

mod instant;
#[cfg(feature = "test-util")]
pub(crate) mod pause;
pub(crate) mod timer;
pub(crate) mod timers;
mod wheel;

pub use instant::Instant;
#[cfg(feature = "test-util")]
pub use pause::{advance, pause, resume};
pub use timer::Timer;

pub(crate) use timers::{TimerKey, Timers};
