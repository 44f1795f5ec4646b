//! How to open a file.

use std::io;
use std::path::Path;

use heist_runtime::ops::{self, SharedFd};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::Errno;

use super::File;

/// How to open a file, after tokio's and the standard library's.
///
/// ```
/// use heist_fs::OpenOptions;
/// use heist_net::io::AsyncWriteExt;
///
/// # heist_runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("heist-fs-doc-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("log");
/// let mut log = OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all(b"one more line\n").await?;
/// log.flush().await?;
/// # assert_eq!(std::fs::read(&path)?, b"one more line\n");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    inner: ops::OpenOptions,
}

impl OpenOptions {
    /// Nothing allowed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.inner = self.inner.read(read);
        self
    }

    /// For writing. What is in the file stays, and is written over from the start.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.inner = self.inner.write(write);
        self
    }

    /// For writing at the end, wherever that is at the time of each write.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.inner = self.inner.append(append);
        self
    }

    /// Emptied when it is opened; needs [`write`](Self::write).
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.inner = self.inner.truncate(truncate);
        self
    }

    /// Created if it is missing; needs [`write`](Self::write) or [`append`](Self::append).
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.inner = self.inner.create(create);
        self
    }

    /// Created, or an error if it exists, in one step. [`create`](Self::create) and [`truncate`](Self::truncate) mean
    /// nothing then.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.inner = self.inner.create_new(create_new);
        self
    }

    /// The permissions of a file that it creates, less the process's umask. Default: 0o666.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.inner = self.inner.mode(mode);
        self
    }

    /// Further `O_*` flags of [`open(2)`](https://man7.org/linux/man-pages/man2/open.2.html). With `O_DIRECT` use
    /// [`File::read_at`] and [`File::write_at`] with an [`AlignedBuf`](crate::AlignedBuf).
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.inner = self.inner.custom_flags(flags);
        self
    }

    /// Opens the file at `path`, on the ring. A pipe that has a name waits for its other end, unless the custom flags have
    /// `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the options contradict each other or the path contains a zero byte, and those of `open(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have created or emptied the file already; what it has opened is closed.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        open(path.as_ref(), self.inner).await.map(File::new)
    }
}

/// The kernel first tries to open without waiting, which for a pipe succeeds or fails too soon.
pub(crate) async fn open(path: &Path, options: ops::OpenOptions) -> io::Result<SharedFd> {
    let first = match ops::open(path, options)?.await {
        Ok(fd) if !is_unmet(&fd) => return Ok(fd),
        Err(error) if error.raw_os_error() != Some(Errno::NXIO.raw_os_error()) => {
            return Err(error);
        }
        first => first,
    };
    // The other end may have seen this one already, which must not go before there is another.
    let second = ops::open(path, options.wait(true))?.await;
    drop(first);
    second
}

/// Whether this is a pipe that would have waited for somebody who writes.
fn is_unmet(fd: &SharedFd) -> bool {
    let is_pipe = fstat(fd).is_ok_and(|known| FileType::from_raw_mode(known.st_mode).is_fifo());
    let waits = OFlags::RWMODE | OFlags::NONBLOCK;
    is_pipe && fcntl_getfl(fd).is_ok_and(|flags| flags & waits == OFlags::RDONLY)
}
