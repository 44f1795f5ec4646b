//! Heist beside its peers: the same work on each runtime, measured in turn by one program.
//!
//! An absolute time says little on a machine that others use too, so everything here is about
//! ratios: the program `compare` runs Heist and tokio alternately and divides medians. The criterion
//! benches run the same scenarios, for the eye on one of them while it is being worked on.
//!
//! In reading order:
//!
//! - [`rt`]: what a scenario may ask of a runtime, and how each contestant does it at its best.
//! - [`scenario`]: what a scenario is, what it measures, and which contestants it is run on.
//! - [`scenarios`]: the scenarios, and [`scenarios::all`], the list of them.
//! - [`child`]: parts of a measurement in a process of their own.
//! - [`meter`]: wall time, processor time and context switches of a stretch of work.
//! - [`stats`]: medians, percentiles, spreads.
//! - [`harness`]: a scenario under criterion.
//! - `report`: the tables of `RESULTS.md` (feature `tokio`).

pub mod rt;
pub mod scenario;
pub mod scenarios;
pub mod child;
pub mod meter;
pub mod stats;
pub mod harness;
#[cfg(feature = "tokio")]
pub mod report;
