//! Jobs on the disk: a file that is appended to, and read by position.
//!
//! The file has no name, so it is gone with the process however that ends. What must outlive it is in the journal.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Job;

/// Bytes that are written at a time.
const BATCH: usize = 64 << 10;

/// Bytes that are read at a time: most lines that are asked for next are among them.
const WINDOW: usize = 64 << 10;

/// A file of jobs.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// Bytes in the file.
    written: u64,
    /// What comes behind them.
    unwritten: Vec<u8>,
    /// A part of the file as it was read.
    window: Vec<u8>,
    window_at: u64,
    /// Jobs put in and not taken out.
    waiting: u64,
}

impl Spool {
    /// A file in `folder`, which must be on a file system that has room.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(folder)?,
            written: 0,
            unwritten: Vec::with_capacity(BATCH),
            window: Vec::new(),
            window_at: 0,
            waiting: 0,
        })
    }

    /// Adds a job, and says where it is.
    pub(super) fn put(&mut self, job: &Job) -> io::Result<u64> {
        if self.unwritten.len() >= BATCH {
            self.flush()?;
        }
        let at = self.written + self.unwritten.len() as u64;
        job.write(&mut self.unwritten);
        self.waiting += 1;
        Ok(at)
    }

    /// Takes out the job at such a place. When it was the last, the disk gets its room back.
    pub(super) fn take(&mut self, at: u64) -> io::Result<Job> {
        if at >= self.written {
            self.flush()?;
        }
        let job = match self.find(at) {
            Some(job) => job,
            None => {
                self.window.resize(WINDOW, 0);
                let count = read_up_to(&self.file, &mut self.window, at)?;
                self.window.truncate(count);
                self.window_at = at;
                self.find(at).ok_or_else(|| {
                    let text = "a page in the file of waiting pages cannot be read; has somebody written to it?";
                    io::Error::new(io::ErrorKind::InvalidData, text)
                })?
            }
        };
        self.waiting -= 1;
        if self.waiting == 0 {
            self.unwritten.clear();
            self.window.clear();
            self.written = 0;
            self.file.set_len(0)?;
        }
        Ok(job)
    }

    /// The job at `at`, if all of it is in the window.
    fn find(&self, at: u64) -> Option<Job> {
        let start = usize::try_from(at.checked_sub(self.window_at)?).ok()?;
        let rest = self.window.get(start..)?;
        let end = memchr::memchr(b'\n', rest)?;
        Job::read(&rest[..end])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.unwritten, self.written)?;
        self.written += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
