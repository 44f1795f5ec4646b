//! An open file.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use heist_runtime::ops::{self, SharedFd};
use heist_runtime::scope::leaf_fn;
use heist_sync::time::sleep;
use heist_sync::{Mutex, MutexGuard};
use rustix::fs::{Mode, fchmod, ftruncate};

use super::OpenOptions;
use super::stream::Stream;
use crate::blocking;

/// Most bytes of one read or write of the stream, unless that is changed.
const LIMIT: usize = 64 * 1024;

/// An open file.
///
/// It is read and written through the traits of `heist_net::io`, from its position on, or at any offset
/// ([`read_at`](Self::read_at), [`write_at`](Self::write_at)), also by several tasks at once.
///
/// # Writes
///
/// Through the traits a write copies its bytes and goes on in the background, up to 64 KiB at a time
/// ([`set_max_buf_size`](Self::set_max_buf_size)). What comes meanwhile is gathered, up to four times that, and is the next
/// write, so small ones cost little more than their copy. An error is told by a later call, `flush` at the latest. `flush` waits
/// until the kernel has everything, [`sync_all`](Self::sync_all) until the disk has. A write that is flushed alone is a round trip
/// to a thread of the kernel's on most file systems. A file that is dropped still writes what it has accepted, unless
/// the runtime ends: that waits for what was gathered, as long as it does for cleanup, but may lose the last write. Flush it.
///
/// # Position
///
/// Differs from tokio's: the position is the handle's own, and not the open file's in the kernel, so a
/// [clone](Self::try_clone) has one of its own, and other processes that share the file do not move it. What has no position,
/// as a pipe or a terminal, is read and written in order; with [`append`](OpenOptions::append) writes go to the end.
///
/// # Cancel safety
///
/// A read that is dropped has read nothing, and a seek has not moved. Whether a dropped `write` has been accepted is known: it
/// has not. `write_all` and its kin have written what they had come to.
///
/// # Examples
///
/// ```
/// use heist_fs::File;
/// use heist_net::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # heist_runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("heist-fs-doc-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path).await?;
/// file.write_all(b"hello, file").await?;
/// file.rewind().await?;
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello, file");
///
/// let (read, bytes) = file.read_at(vec![0; 4], 7).await;
/// assert_eq!((read?, &bytes[..]), (4, &b"file"[..]));
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
pub struct File {
    pub(super) fd: SharedFd,
    /// Its lock is for methods that borrow the file and have to wait for writes under way.
    pub(super) stream: Mutex<Stream>,
    /// Most bytes of one read or write of the stream.
    pub(super) limit: usize,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("fd", &self.as_raw_fd())
            .finish_non_exhaustive()
    }
}

impl File {
    pub(super) fn new(fd: SharedFd) -> Self {
        Self {
            stream: Mutex::new(Stream::new(fd.clone())),
            fd,
            limit: LIMIT,
        }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing, creates it if it is missing, and empties it if it is not.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have created or emptied the file already.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Creates a file for reading and writing.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, and those of `open(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have created the file already.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(path).await
    }

    /// Options for opening a file: as [`OpenOptions::new`].
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of the standard library's, at its position.
    #[must_use]
    pub fn from_std(file: fs::File) -> Self {
        Self::new(SharedFd::new(OwnedFd::from(file)))
    }

    /// Turns it into one of the standard library's, at this one's position, when the writes under way have ended. What
    /// they fail with is lost: flush before. So is what was read ahead of what has no position.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the file.
    pub async fn into_std(mut self) -> fs::File {
        // The caller has been asked to flush if that matters.
        drop(leaf_fn(|cx| self.stream.get_mut().poll_drain(cx)).await);
        loop {
            match self.try_into_std() {
                Ok(file) => return file,
                // A read that was dropped has the descriptor for a moment.
                Err(file) => self = file,
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// As [`into_std`](Self::into_std), at once.
    ///
    /// # Errors
    ///
    /// The file itself, when a write is under way; also when a read was dropped a moment ago and no descriptor is free.
    #[expect(
        clippy::result_large_err,
        reason = "the file comes back, as tokio's does"
    )]
    pub fn try_into_std(mut self) -> Result<fs::File, Self> {
        if !self.stream.get_mut().is_idle() {
            return Err(self);
        }
        let limit = self.limit;
        // So that neither the file that is returned nor, should it come to that, this one is anywhere else.
        self.stream.get_mut().publish_position();
        drop(self.stream);
        let owned = self.fd.try_unwrap();
        owned.map(fs::File::from).or_else(|shared| {
            let duplicate = shared.as_fd().try_clone_to_owned();
            duplicate.map(fs::File::from).map_err(|_| {
                let mut file = Self::new(shared);
                file.limit = limit;
                file
            })
        })
    }

    /// Waits until nothing is under way, and says how that went.
    pub(super) async fn drained(&self) -> io::Result<MutexGuard<'_, Stream>> {
        let mut stream = self.stream.lock().await;
        leaf_fn(|cx| stream.poll_drain(cx)).await?;
        Ok(stream)
    }

    /// Waits until the disk has everything that was written, and what is known of the file
    /// ([`fsync(2)`](https://man7.org/linux/man-pages/man2/fsync.2.html)).
    ///
    /// # Errors
    ///
    /// Those of writes before, and of `fsync(2)`.
    ///
    /// # Cancel safety
    ///
    /// May be called again. A sync that is dropped may go on.
    pub async fn sync_all(&self) -> io::Result<()> {
        drop(self.drained().await?);
        ops::fsync(&self.fd, false).await
    }

    /// As [`sync_all`](Self::sync_all), without what is not needed to read the content again (`fdatasync(2)`).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn sync_data(&self) -> io::Result<()> {
        drop(self.drained().await?);
        ops::fsync(&self.fd, true).await
    }

    /// Makes the file `size` bytes long: what is behind is cut off, what is new is zeros. The position stays.
    ///
    /// # Errors
    ///
    /// Those of writes before, and of `ftruncate(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may still be done.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        drop(self.drained().await?);
        let fd = self.fd.clone();
        blocking::run(move || Ok(ftruncate(&fd, size)?)).await
    }

    /// What is known of the file, with what was written to it.
    ///
    /// # Errors
    ///
    /// Those of writes before, and of `fstat(2)`; a descriptor is needed for a moment.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        drop(self.drained().await?);
        let fd = self.fd.clone();
        blocking::run(move || fs::File::from(fd.as_fd().try_clone_to_owned()?).metadata()).await
    }

    /// Changes who may do what with the file.
    ///
    /// # Errors
    ///
    /// Those of `fchmod(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may still be done.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let (fd, mode) = (self.fd.clone(), Mode::from_raw_mode(permissions.mode()));
        blocking::run(move || Ok(fchmod(&fd, mode)?)).await
    }

    /// Another handle to the same open file. Unlike tokio's it has a position of its own, which starts where this one's
    /// is.
    ///
    /// # Errors
    ///
    /// Those of writes before, and those of `dup(2)`.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn try_clone(&self) -> io::Result<Self> {
        let mut stream = self.drained().await?;
        let fd = SharedFd::new(self.fd.as_fd().try_clone_to_owned()?);
        let clone = stream.clone_at(fd.clone())?;
        Ok(Self {
            fd,
            stream: Mutex::new(clone),
            limit: self.limit,
        })
    }

    /// How many bytes the traits read or write at a time at most. Default: 64 KiB.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn set_max_buf_size(&mut self, size: usize) {
        assert!(size > 0, "a buffer has room for something");
        self.limit = size;
    }

    /// See [`set_max_buf_size`](Self::set_max_buf_size).
    #[must_use]
    pub fn max_buf_size(&self) -> usize {
        self.limit
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self::from_std(file)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
