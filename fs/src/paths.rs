//! What is at a path, and its names. All of it on the blocking pool.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use crate::blocking::with_path;

/// What is known of the file or directory at a path, or where a link there leads.
///
/// # Errors
///
/// Those of `stat(2)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    with_path(path, fs::metadata).await
}

/// As [`metadata`], of a link itself.
///
/// # Errors
///
/// Those of `lstat(2)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    with_path(path, fs::symlink_metadata).await
}

/// Whether there is something at a path, or where a link there leads.
///
/// # Errors
///
/// When that cannot be found out, as in a directory that may not be searched.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    with_path(path, |path| path.try_exists()).await
}

/// The absolute path without links, `.` and `..`. It has to exist.
///
/// # Errors
///
/// Those of `realpath(3)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    with_path(path, fs::canonicalize).await
}

/// Changes who may do what with the file or directory at a path.
///
/// # Errors
///
/// Those of `chmod(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    with_path(path, |path| fs::set_permissions(path, permissions)).await
}

/// Gives a file or directory another name on the same file system, in one step. A file that has that name is replaced.
///
/// # Errors
///
/// Those of `rename(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let to = to.as_ref().to_owned();
    with_path(from, |from| fs::rename(from, to)).await
}

/// Removes a name of a file. The file goes when it has no other, and nobody has it open.
///
/// # Errors
///
/// Those of `unlink(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path, fs::remove_file).await
}

/// Gives the file `original` the name `link` as well.
///
/// # Errors
///
/// Those of `link(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let link = link.as_ref().to_owned();
    with_path(original, |original| fs::hard_link(original, link)).await
}

/// Makes `link` lead to `original`, which need not exist.
///
/// # Errors
///
/// Those of `symlink(2)`.
///
/// # Cancel safety
///
/// Not begun when it is dropped in time, and done otherwise.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let link = link.as_ref().to_owned();
    let symlink = std::os::unix::fs::symlink;
    with_path(original, move |original| symlink(original, link)).await
}

/// Where a link leads.
///
/// # Errors
///
/// `InvalidInput` for what is no link, and those of `readlink(2)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    with_path(path, fs::read_link).await
}
