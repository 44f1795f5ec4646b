//! The scope tree: what a cancellation reaches, and what it waits for.
//!
//! In reading order:
//!
//! - `leaf`: what every future at the bottom of the tree does, so that it can be cancelled.

mod leaf;

pub use leaf::{Leaf, cancel_requested};
