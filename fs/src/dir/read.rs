//! What is in a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::future::Future;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_runtime::scope::{Leaf, leaf_fn};
use heist_runtime::task::JoinHandle;
use heist_sync::stream::Stream;

use crate::blocking;

/// Entries that are read at a time: about as many as one system call brings.
const BATCH: usize = 256;

/// Reads a directory.
///
/// ```
/// # heist_runtime::block_on(async {
/// let mut names = Vec::new();
/// let mut entries = heist_fs::read_dir("/proc/self").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     names.push(entry.file_name());
/// }
/// assert!(names.iter().any(|name| name == "status"));
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// Those of `opendir(3)`.
///
/// # Cancel safety
///
/// Changes nothing.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let batch = blocking::run(move || Ok(Batch::read(fs::read_dir(path)?))).await?;
    let mut entries = ReadDir {
        entries: VecDeque::new(),
        source: Source::Ended,
    };
    entries.take(batch);
    Ok(entries)
}

type Entry = io::Result<(fs::DirEntry, Option<FileType>)>;

/// Some entries, and where the others come from.
struct Batch {
    entries: VecDeque<Entry>,
    /// Unless that was all.
    source: Option<fs::ReadDir>,
}

impl Batch {
    /// Reads on a thread that may block.
    fn read(mut source: fs::ReadDir) -> Self {
        let with_type = |entry: fs::DirEntry| {
            let kind = entry.file_type().ok();
            (entry, kind)
        };
        let entries = source.by_ref().take(BATCH);
        let entries: VecDeque<_> = entries.map(|entry| entry.map(with_type)).collect();
        let source = (entries.len() == BATCH).then_some(source);
        Self { entries, source }
    }
}

enum Source {
    /// A thread reads. It is not waited for by a scope that is cancelled: whoever asks next takes what it has read.
    Reading(JoinHandle<Batch>),
    Idle(fs::ReadDir),
    Ended,
}

/// The entries of a directory, in no order and without `.` and `..`; from [`read_dir`]. Also a [`Stream`].
///
/// They are read on the blocking pool, 256 at a time.
#[must_use = "it reads nothing unless it is asked for the next entry"]
pub struct ReadDir {
    entries: VecDeque<Entry>,
    source: Source,
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("read", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl ReadDir {
    /// The next entry; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of `readdir(3)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: the next call gets what this one would have.
    #[track_caller]
    pub fn next_entry(&mut self) -> impl Future<Output = io::Result<Option<DirEntry>>> + Send {
        leaf_fn(|cx| self.poll_next_entry(cx))
    }

    /// As [`next_entry`](Self::next_entry), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        ready!(Leaf::here().start());
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(entry.map(|(entry, kind)| {
                    let entry = Arc::new(entry);
                    Some(DirEntry { entry, kind })
                }));
            }
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Ended => return Poll::Ready(Ok(None)),
                Source::Idle(source) => {
                    let reading = blocking::start(|| Batch::read(source)).abandon_on_cancel();
                    self.source = Source::Reading(reading);
                }
                Source::Reading(mut reading) => match Pin::new(&mut reading).poll(cx) {
                    Poll::Pending => {
                        self.source = Source::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(batch) => self.take(blocking::outcome(batch.map(Ok))?),
                },
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        self.entries = batch.entries;
        self.source = batch.source.map_or(Source::Ended, Source::Idle);
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_entry(cx).map(Result::transpose)
    }
}

/// One entry of a directory.
#[derive(Clone)]
pub struct DirEntry {
    entry: Arc<fs::DirEntry>,
    /// What it was when the directory was read, if that could be told.
    kind: Option<FileType>,
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.path()).finish()
    }
}

impl DirEntry {
    /// The path of the directory as it was given to [`read_dir`], and the name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// The name.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// The number of the inode.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.entry.ino()
    }

    /// What is known of the entry; of a link itself, not of where it leads.
    ///
    /// # Errors
    ///
    /// Those of `lstat(2)`; `NotFound` when it is gone.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = self.entry.clone();
        blocking::run(move || entry.metadata()).await
    }

    /// Whether the entry is a file, a directory, a link or something else, as it was when the directory was read: most file
    /// systems tell it with the name.
    ///
    /// # Errors
    ///
    /// As for [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn file_type(&self) -> io::Result<FileType> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        let entry = self.entry.clone();
        blocking::run(move || entry.file_type()).await
    }
}
