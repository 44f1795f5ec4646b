//! Files and directories for the Heist runtime, in tokio's names.
//!
//! - [`File`], [`OpenOptions`]: one file; [`AlignedBuf`]: memory for direct I/O
//! - [`read`], [`read_to_string`], [`write()`], [`copy`]: whole files
//! - [`read_dir`], [`create_dir`], [`create_dir_all`], [`DirBuilder`], [`remove_dir`], [`remove_dir_all`]: directories
//! - [`metadata`], [`symlink_metadata`], [`set_permissions`], [`try_exists`], [`canonicalize`]: what is at a path
//! - [`rename`], [`remove_file`], [`hard_link`], [`symlink`], [`read_link`]: names
//!
//! # Where the work is done
//!
//! | what | where |
//! |---|---|
//! | reading, writing and syncing a [`File`], opening one, [`read`] and [`read_to_string`] | on the ring of the worker: no thread is woken to read what the kernel has in its cache, and the kernel's own threads wait for the disk. On ext4 and tmpfs a write is given to such a thread: one after the other through the traits they are gathered, at an offset each is a round trip, as it is to a pool |
//! | everything else | on the blocking pool, where one call does it as fast, or is the only way to the standard library's types |
//!
//! Descriptors are closed where they are dropped. ARCHITECTURE.md has the figures, and `bench/src/scenarios/small_files.rs` the
//! comparison with others.
//!
//! # Cancel safety
//!
//! Reading, writing and seeking a [`File`] lose nothing when a future is dropped; each method says what that means. What is
//! on the blocking pool is not begun when it is dropped in time, and goes on to its end otherwise; a scope that is
//! cancelled waits for that end.
//!
//! # Panics
//!
//! Everything here has to be awaited inside of a runtime.

#![forbid(unsafe_code)]

mod blocking;
mod file;
mod contents;
mod dir;
mod paths;

pub use contents::{copy, read, read_to_string, write};
pub use dir::{
    DirBuilder, DirEntry, ReadDir, create_dir, create_dir_all, read_dir, remove_dir, remove_dir_all,
};
pub use file::{File, OpenOptions};
pub use heist_runtime::ops::AlignedBuf;
pub use paths::{
    canonicalize, hard_link, metadata, read_link, remove_file, rename, set_permissions, symlink,
    symlink_metadata, try_exists,
};
