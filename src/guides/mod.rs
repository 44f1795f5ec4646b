//! For those who know another runtime.

// Their text is as long as a page, and easier to write and to read in a file of its own.
#[doc = include_str!("coming_from_asyncio.md")]
pub mod coming_from_asyncio {}

#[doc = include_str!("coming_from_tokio.md")]
pub mod coming_from_tokio {}
