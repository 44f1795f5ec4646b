//! Making and removing directories.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::blocking::with_path;

/// Makes a directory.
///
/// # Errors
///
/// `AlreadyExists`, and those of `mkdir(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path, fs::create_dir).await
}

/// Makes a directory, and those that it is in, unless they are there.
///
/// # Errors
///
/// Those of `mkdir(2)`; some may have been made.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and goes on to its end otherwise.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path, fs::create_dir_all).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// `DirectoryNotEmpty`, and those of `rmdir(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path, fs::remove_dir).await
}

/// Removes a directory with all that is in it. Links in it are removed, and not followed.
///
/// # Errors
///
/// Those of the standard library's [`fs::remove_dir_all`]; a part may have been removed.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and goes on to its end otherwise.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path, fs::remove_dir_all).await
}

/// How to make a directory, after tokio's and the standard library's.
#[derive(Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// As [`create_dir`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to make those that it is in as well, as [`create_dir_all`].
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// The permissions of what it makes, less the process's umask. Default: 0o777.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// As for [`create_dir`] and [`create_dir_all`].
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(self.recursive);
        if let Some(mode) = self.mode {
            builder.mode(mode);
        }
        with_path(path, move |path| builder.create(path)).await
    }
}
