//! Resolvers, and connecting with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

#[path = "common/refusing.rs"]
mod refusing;
#[path = "dns/connecting.rs"]
mod connecting;
#[path = "dns/system.rs"]
mod system;
