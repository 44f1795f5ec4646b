//! What a crawl has found and done, so that it can go on after whatever ended it.
//!
//! A journal is a file of lines that only grows:
//!
//! ```text
//! heist-crawl journal 1
//! Q <tab> address <tab> depth <tab> redirects <tab> referrer     a page was found
//! D <tab> record as JSON                                         a page is done
//! C <tab> record as JSON                                         a page was given up as the crawl ended, and waits
//! ```
//!
//! What a page led to is written before the page is done, in the same write. So wherever the process dies, a page
//! whose links are not in the journal is not done there either, and the next run fetches it: nothing is lost, and what
//! is fetched twice was under way. The half of a line that a dying process leaves behind is cut off.
//!
//! Everything is in the hands of the kernel before a record is handed out, which outlives the process but not a loss
//! of power; [`Journal::sync`] is called at the end of a crawl.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::frontier::Seen;
use crate::{Job, Record};

const FIRST_LINE: &[u8] = b"heist-crawl journal 1\n";

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    unwritten: Vec<u8>,
}

/// A line of a journal.
enum Entry {
    Queued(Job),
    /// With whether the page is done.
    Record(Box<Record>, bool),
}

impl Journal {
    /// Opens or creates a journal. What it holds is given to `on_record`, with whether the page is done, and then to
    /// `on_page`, with the same.
    pub(crate) fn open(
        path: &Path,
        mut on_record: impl FnMut(&Record, bool),
        mut on_page: impl FnMut(Job, bool) -> io::Result<()>,
    ) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = "another crawl is writing to this journal; wait for its end, or use another one";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        check_beginning(&file)?;
        let length = whole_lines(&file)?;
        file.set_len(length)?;
        let mut journal = Self {
            file,
            unwritten: Vec::new(),
        };
        if length == 0 {
            journal.unwritten.extend_from_slice(FIRST_LINE);
            journal.write()?;
            return Ok(journal);
        }
        let key = RandomState::new();
        let mut done = Seen::new();
        entries(&journal.file, |entry| {
            if let Entry::Record(record, is_done) = entry {
                if is_done {
                    done.insert(key.hash_one(&*record.url));
                }
                on_record(&record, is_done);
            }
            Ok(())
        })?;
        entries(&journal.file, |entry| match entry {
            Entry::Queued(job) => {
                let is_done = done.contains(key.hash_one(job.url.as_str()));
                on_page(job, is_done)
            }
            Entry::Record(..) => Ok(()),
        })?;
        Ok(journal)
    }

    /// A page was found.
    pub(crate) fn queued(&mut self, job: &Job) {
        self.unwritten.extend_from_slice(b"Q\t");
        job.write(&mut self.unwritten);
    }

    /// The record of a page. Unless it is done, the next run fetches it once more.
    pub(crate) fn record(&mut self, record: &Record, done: bool) -> io::Result<()> {
        self.unwritten
            .extend_from_slice(if done { b"D\t" } else { b"C\t" });
        serde_json::to_writer(&mut self.unwritten, record)?;
        self.unwritten.push(b'\n');
        Ok(())
    }

    /// Hands everything to the kernel.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        write_out(&mut self.unwritten, &mut self.file)
    }

    /// Lets every later write fail.
    #[cfg(test)]
    pub(crate) fn break_off(&mut self) {
        self.file = File::open("/dev/null").expect("it can be read");
    }

    /// Hands everything to the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        self.file.sync_data()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Nobody is left to be told. What is not written is fetched again.
        let _ = self.write();
    }
}

/// Writes all of `bytes`, and takes off what was written. A disk that is full takes a part of a line; the rest is to
/// follow it, if anything is, and not the whole line once more.
fn write_out(bytes: &mut Vec<u8>, file: &mut impl Write) -> io::Result<()> {
    let mut written = 0;
    let outcome = loop {
        if written == bytes.len() {
            break Ok(());
        }
        match file.write(&bytes[written..]) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    bytes.drain(..written);
    outcome
}

/// Refuses a file that is something else, before anything is cut off from it.
fn check_beginning(mut file: &File) -> io::Result<()> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(FIRST_LINE.len() as u64).read_to_end(&mut start)?;
    if FIRST_LINE.starts_with(&start) {
        return Ok(());
    }
    let text = "this file is no journal of a crawl";
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Bytes up to the end of the last whole line.
fn whole_lines(mut file: &File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..usize::try_from(end - start).expect("no more than a block")];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = memchr::memrchr(b'\n', block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads a journal from its beginning.
fn entries(mut file: &File, mut take: impl FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        // The end, or the half of a line before it.
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        number += 1;
        if number == 1 && line == FIRST_LINE {
            continue;
        }
        let entry = if number > 1 { parse(&line) } else { None };
        take(entry.ok_or_else(|| {
            let text = if number == 1 {
                "this file is no journal of a crawl".to_owned()
            } else {
                format!("line {number} of the journal is damaged; remove it to fetch its page again, or start anew")
            };
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?)?;
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let line = line.strip_suffix(b"\n")?;
    let record = |json: &[u8], done| {
        let record = serde_json::from_slice(json).ok()?;
        Some(Entry::Record(Box::new(record), done))
    };
    match line.split_at_checked(2)? {
        (b"Q\t", job) => Job::read(job).map(Entry::Queued),
        (b"D\t", json) => record(json, true),
        (b"C\t", json) => record(json, false),
        _ => None,
    }
}

/// What a line of a journal is: a page that was found, or a record. For fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn entry(line: &[u8]) -> Option<Option<Job>> {
    parse(line).map(|entry| match entry {
        Entry::Queued(job) => Some(job),
        Entry::Record(..) => None,
    })
}

/// Gives every record of a journal to `take`, in the order in which the crawls handed them out.
///
/// An output that was cut short with the process lacks the last of them.
///
/// # Errors
///
/// When the journal cannot be read, or is none; and those of `take`.
pub fn journal_records(
    path: &Path,
    mut take: impl FnMut(Record) -> io::Result<()>,
) -> io::Result<()> {
    let file = File::open(path)?;
    check_beginning(&file)?;
    entries(&file, |entry| match entry {
        Entry::Record(record, _) => take(*record),
        Entry::Queued(_) => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::blank_record;

    fn job(path: &str) -> Job {
        Job::seed(format!("http://example.org/{path}").parse().unwrap())
    }

    type Content = (Vec<(String, bool)>, Vec<(String, bool)>);

    fn reopen(path: &Path) -> io::Result<(Journal, Content)> {
        let (mut records, mut pages) = (Vec::new(), Vec::new());
        let journal = Journal::open(
            path,
            |record, done| records.push((record.url.clone(), done)),
            |job, done| {
                pages.push((job.url.to_string(), done));
                Ok(())
            },
        )?;
        Ok((journal, (records, pages)))
    }

    fn sample(path: &Path) {
        let (mut journal, content) = reopen(path).unwrap();
        assert_eq!(content, Content::default());
        for page in ["a", "b", "c"] {
            journal.queued(&job(page));
        }
        journal.record(&blank_record(&job("b")), true).unwrap();
        journal.record(&blank_record(&job("c")), false).unwrap();
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        sample(&path);
        let url = |page: &str, done| (format!("http://example.org/{page}"), done);
        let expected = (
            vec![url("b", true), url("c", false)],
            vec![url("a", false), url("b", true), url("c", false)],
        );
        for _ in 0..2 {
            assert_eq!(reopen(&path).unwrap().1, expected);
        }
        let mut urls = Vec::new();
        journal_records(&path, |record| {
            urls.push(record.url);
            Ok(())
        })
        .unwrap();
        assert_eq!(urls, ["http://example.org/b", "http://example.org/c"]);
    }

    #[test]
    fn a_cut_at_any_byte_leaves_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        sample(&path);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            // Read as it is before it is mended: the output is caught up with it first.
            journal_records(&path, |_| Ok(())).unwrap();
            let (mut journal, (records, pages)) = reopen(&path).unwrap();
            assert!(records.len() <= 2 && pages.len() <= 3);
            // What comes after the cut is not glued to what was before.
            journal.queued(&job("new"));
            drop(journal);
            let (_, (_, again)) = reopen(&path).unwrap();
            assert_eq!(again.len(), pages.len() + 1);
            assert!(again.last().unwrap().0.ends_with("/new"));
        }
    }

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= count;
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The journal is written once more at the end of a crawl that could not write it, and there may be room by then.
    /// The negative control, tried: `write_all`, and to keep everything when it fails: the line in the middle is
    /// damaged, and no later run can read the journal.
    #[test]
    fn a_disk_that_was_full_leaves_whole_lines() {
        let mut lines = Vec::new();
        for page in ["a", "b", "c"] {
            lines.extend_from_slice(b"Q\t");
            job(page).write(&mut lines);
        }
        for room in 0..lines.len() {
            let (mut disk, mut unwritten) = (Disk(Vec::new(), room), lines.clone());
            for _ in 0..2 {
                let error = write_out(&mut unwritten, &mut disk).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            }
            assert_eq!(disk.0, lines[..room]);
            disk.1 = usize::MAX;
            write_out(&mut unwritten, &mut disk).unwrap();
            assert!(disk.0 == lines && unwritten.is_empty());
        }
    }

    #[test]
    fn two_crawls_do_not_share_one_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        sample(&path);
        let (first, _) = reopen(&path).unwrap();
        assert_eq!(
            reopen(&path).unwrap_err().kind(),
            io::ErrorKind::ResourceBusy
        );
        drop(first);
        std::fs::write(&path, "my diary\nand more").unwrap();
        let error = reopen(&path).unwrap_err();
        assert!(error.to_string().contains("no journal"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"my diary\nand more");
    }
}
