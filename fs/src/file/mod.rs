//! One file.
//!
//! - [`options`]: how to open it
//! - [`handle`]: the file, and what needs no position
//! - [`positional`]: reading and writing at an offset
//! - [`stream`]: reading and writing one after the other; [`traits`]: as the traits of `heist_net::io` have it

mod options;
mod handle;
mod positional;
mod stream;
mod traits;

pub use handle::File;
pub use options::OpenOptions;
pub(crate) use options::open;
