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

/// Bytes that are read at a time, at least and at most. The lines of one host stand together when there are few hosts,
/// and most of a large window is then asked for next. With many hosts there are megabytes between two of them, and to
/// read on would cost a hundred times as much as the line.
const WINDOW: (usize, usize) = (1 << 10, 64 << 10);

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
    /// Bytes that are read next: more with each time that it goes on where the window ends.
    window_size: usize,
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
            window_size: WINDOW.0,
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
            None => self.read(at)?,
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

    /// Moves the window to the job at `at`, and reads that.
    fn read(&mut self, at: u64) -> io::Result<Job> {
        let end = self.window_at + self.window.len() as u64;
        let goes_on = !self.window.is_empty() && (self.window_at..=end).contains(&at);
        self.window_size = if goes_on {
            (self.window_size * 4).min(WINDOW.1)
        } else {
            WINDOW.0
        };
        loop {
            self.window.resize(self.window_size, 0);
            let count = read_up_to(&self.file, &mut self.window, at)?;
            self.window.truncate(count);
            self.window_at = at;
            if let Some(job) = self.find(at) {
                return Ok(job);
            }
            // The line may be longer than that.
            if self.window_size == WINDOW.1 {
                let text = "a page in the file of waiting pages cannot be read; has somebody written to it?";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.window_size = WINDOW.1;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::numbers;

    /// The negative control, tried: let `read` give up after the smallest window.
    #[test]
    fn lines_of_any_length_come_back_in_any_order() {
        let mut next = numbers();
        let mut spool = Spool::create(&std::env::temp_dir()).unwrap();
        for round in 0..4 {
            let jobs: Vec<_> = (0..2000)
                .map(|number| {
                    // Most of them are short, and some as long as an address and its referrer may be.
                    let length = if next(50) == 0 { 8000 } else { next(300) };
                    let url = format!("http://example.org/{number}/{}", "x".repeat(length));
                    let mut job = Job::seed(url.parse().unwrap());
                    job.referrer = (next(2) == 0).then(|| job.url.as_str().into());
                    (spool.put(&job).unwrap(), job)
                })
                .collect();
            // In their order, backwards, and each seventh.
            let stride = [1, jobs.len() - 1, 7, 643][round];
            for step in 0..jobs.len() {
                let (at, job) = &jobs[step * stride % jobs.len()];
                assert_eq!(&spool.take(*at).unwrap(), job);
            }
            assert_eq!(
                spool.file.metadata().unwrap().len(),
                0,
                "the disk has it back"
            );
        }
    }

    /// What is far apart is read line by line. The negative control, tried: a window of `WINDOW.1` always, as it once was,
    /// with which every page of `tests/memory.rs` that comes out costs 64 KiB.
    #[test]
    fn the_window_is_as_large_as_what_is_asked_for_next() {
        let mut spool = Spool::create(&std::env::temp_dir()).unwrap();
        let job =
            |number: usize| Job::seed(format!("http://example.org/{number}").parse().unwrap());
        let places: Vec<_> = (0..20_000)
            .map(|number| spool.put(&job(number)).unwrap())
            .collect();
        for number in (0..10_000).step_by(1000) {
            assert_eq!(spool.take(places[number]).unwrap(), job(number));
            assert_eq!(spool.window.len(), WINDOW.0);
        }
        for (number, &place) in places.iter().enumerate().skip(10_000) {
            assert_eq!(spool.take(place).unwrap(), job(number));
        }
        assert_eq!(spool.window_size, WINDOW.1);
    }
}
