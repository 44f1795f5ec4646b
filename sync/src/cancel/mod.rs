//! Cancellation: scopes, shields and tokens.
//!
//! In reading order:
//!
//! - `scope`: [`cancel_scope`], a part of a task that can be cancelled by itself.
//! - `deadline`: a scope that ends at a time, which timeouts are too.
//! - `token`: [`CancelToken`], a request that nobody has to heed.
//!
//! From the runtime: [`shield`], [`cancel_requested`], [`current_deadline`], [`Reason`], and in
//! [`heist_runtime::scope`] the mechanism.

pub(crate) mod deadline;
mod scope;
mod token;

pub use heist_runtime::scope::{Reason, Shield, cancel_requested, current_deadline, shield};
pub use heist_runtime::yield_now as checkpoint;
pub use scope::{CancelHandle, CancelScope, Cancelled, cancel_scope};
pub use token::{CancelToken, DropGuard};
