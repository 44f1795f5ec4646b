//! Guides: pages to be read, whose examples are tests.
//!
//! To begin with:
//!
//! - [`getting_started`]: a first program, and what to read next
//! - [`tasks_and_cancellation`]: tasks, groups, timeouts, cleanup that awaits, and the end of a runtime
//! - [`coming_from_asyncio`], [`coming_from_tokio`]: what is called what, and what is different
//! - [`what_it_is_not_for`]: when something else does better
//!
//! For programs in production:
//!
#![cfg_attr(
    feature = "hyper",
    doc = "- [`embedding_in_a_server`]: HTTP servers, and Heist in programs that have a life of their own"
)]
#![cfg_attr(
    not(feature = "hyper"),
    doc = "- `embedding_in_a_server`: HTTP servers, and Heist in programs that have a life of their own (with the feature `hyper`)"
)]
//! - [`buffers_and_cancel_safety`]: who owns a buffer when, and what a drop loses
//! - [`tuning`]: workers, rings, memory, containers
//! - [`observability`]: metrics, events, and who waits for what
//!
//! For the curious:
//!
//! - [`stealing_and_rings`]: how work stealing and a ring for each worker fit together

// Their text is as long as a page, and easier to write and to read in a file of its own.
#[doc = include_str!("getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("tasks_and_cancellation.md")]
pub mod tasks_and_cancellation {}

#[doc = include_str!("coming_from_asyncio.md")]
pub mod coming_from_asyncio {}

#[doc = include_str!("coming_from_tokio.md")]
pub mod coming_from_tokio {}

#[cfg(feature = "hyper")]
#[doc = include_str!("embedding_in_a_server.md")]
pub mod embedding_in_a_server {}

#[doc = include_str!("buffers_and_cancel_safety.md")]
pub mod buffers_and_cancel_safety {}

#[doc = include_str!("tuning.md")]
pub mod tuning {}

#[doc = include_str!("observability.md")]
pub mod observability {}

// The pictures are part of the page, so they are there offline, and their lines have the colour of its text.
#[doc = include_str!("stealing_and_rings/workers.md")]
#[doc = include_str!("stealing_and_rings/workers.svg")]
#[doc = include_str!("stealing_and_rings/operation.md")]
#[doc = include_str!("stealing_and_rings/operation.svg")]
#[doc = include_str!("stealing_and_rings/rescue.md")]
#[doc = include_str!("stealing_and_rings/rescue.svg")]
#[doc = include_str!("stealing_and_rings/rest.md")]
pub mod stealing_and_rings {}

#[doc = include_str!("what_it_is_not_for.md")]
pub mod what_it_is_not_for {}
