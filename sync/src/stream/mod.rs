//! Streams: values that come one after another, each of which may have to be waited for.
//!
//! A [`Stream`] is to a future what an iterator is to a value (`async for` over an asynchronous
//! iterator). Rust has no `for await` yet, so a loop asks for the [`next`](StreamExt::next):
//!
//! ```
//! # heist_runtime::block_on(async {
//! use heist_sync::stream::{StreamExt, generate};
//! use heist_sync::time::{Duration, sleep};
//! use std::pin::pin;
//!
//! let squares = generate(async |y| {
//!     for i in 0..5 {
//!         sleep(Duration::from_millis(1)).await;
//!         y.emit(i * i).await;
//!     }
//! });
//! let mut squares = pin!(squares);
//! while let Some(square) = squares.next().await {
//!     println!("{square}");
//! }
//! # });
//! ```
//!
//! [`generate`] writes a stream as a piece of ordinary code; [`iter`], [`once`], [`empty`] and
//! [`pending`] make one of what is there. [`StreamExt`] has the methods of all streams, of which those that return a stream do
//! nothing until that is asked for its next value. [`using_stream`] closes a stream that may not be read to
//! its end.
//!
//! Names and semantics follow tokio-stream's, and futures-util's for what only that has. The trait
//! is that of `futures-core`, so the streams of other crates get these methods too.
//!
//! # Cancel safety
//!
//! Whoever drops a stream drops what it has read ahead, and nothing else.
//! [`next`](StreamExt::next) loses nothing: the stream stays where it was. Methods that consume the
//! stream, such as [`collect`](StreamExt::collect), lose it with everything in it.

// The methods that all streams have.
mod ext;

// Where streams come from.
mod sources;
mod generate;
mod using;
/// Channels and intervals as streams.
pub mod wrappers;

// From one stream to another.
mod debug;
mod map;
mod filter;
mod take;
mod chain;
mod chunks;
mod concurrent;
mod time;

// From a stream to a future.
mod next;
mod collect;
mod fold;

pub use chain::{Chain, Fuse, Merge};
pub use chunks::Chunks;
pub use collect::{Collect, FromStream};
pub use concurrent::{BufferUnordered, Buffered, ForEachConcurrent};
pub use ext::StreamExt;
pub use filter::{Filter, FilterMap};
pub use fold::{Fold, ForEach};
pub use futures_core::Stream;
pub use generate::{Emit, Emitter, generate};
pub use map::{Enumerate, Map, Then};
pub use next::{Next, TryNext};
pub use sources::{Empty, Iter, Once, Pending, empty, iter, once, pending};
pub use take::{Skip, Take, TakeWhile};
pub use time::{Throttle, Timeout};
pub use using::{OpenStream, using_stream};
