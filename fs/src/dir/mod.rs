//! Directories, on the blocking pool.
//!
//! - [`change`]: making and removing them
//! - [`read`]: what is in them

mod change;
mod read;

pub use change::{DirBuilder, create_dir, create_dir_all, remove_dir, remove_dir_all};
pub use read::{DirEntry, ReadDir, read_dir};
