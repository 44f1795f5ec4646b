//! Heist beside its peers: the same work on each runtime, measured in turn by one program.
//!
//! An absolute time says little on a machine that others use too, so everything here is about
//! ratios: the program `compare` runs Heist and its peers in turn and divides medians by tokio's. The criterion
//! benches run the same scenarios, for the eye on one of them while it is being worked on.
//!
//! Without the feature `scenarios` all of this is left out; the program `instructions` needs none of it.
//!
//! In reading order:
//!
//! - [`rt`]: what a scenario may ask of a runtime, and how each contestant does it at its best.
//! - [`contender`]: who takes part.
//! - [`scenario`]: what a scenario is, what it measures, and how it is run on a contender.
//! - [`scenarios`]: the scenarios, and [`scenarios::all`], the list of them.
//! - `crawl`: HTTP clients, and the site that they fetch (feature `http-clients`).
//! - [`child`]: parts of a measurement in a process of their own.
//! - [`meter`]: wall time, processor time and context switches of a stretch of work.
//! - [`stats`]: medians, percentiles, spreads.
//! - [`targets`]: what Heist is to reach.
//! - [`harness`]: a scenario under criterion.
//! - `results`: what `compare` measures; `report`: the tables of `RESULTS.md`; `charts`: pictures of
//!   the same (feature `tokio`).

#[cfg(feature = "scenarios")]
pub mod rt;
#[cfg(feature = "scenarios")]
pub mod contender;
#[cfg(feature = "scenarios")]
pub mod scenario;
#[cfg(feature = "scenarios")]
pub mod scenarios;
#[cfg(feature = "http-clients")]
pub mod crawl;
#[cfg(feature = "scenarios")]
pub mod child;
#[cfg(feature = "scenarios")]
pub mod meter;
#[cfg(feature = "scenarios")]
pub mod stats;
#[cfg(feature = "scenarios")]
pub mod targets;
#[cfg(feature = "scenarios")]
pub mod harness;
#[cfg(feature = "tokio")]
pub mod results;
#[cfg(feature = "tokio")]
pub mod report;
#[cfg(feature = "tokio")]
pub mod charts;
