//! Resolvers, and connecting with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

#[path = "dns/connecting.rs"]
mod connecting;
#[path = "dns/system.rs"]
mod system;
