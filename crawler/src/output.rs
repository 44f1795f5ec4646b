//! Records as JSON lines, in a file or on standard output.
//!
//! Standard output may be a pipe whose reader is slow, and a write to it then blocks. A thread
//! of its own does the writing, so no worker of the runtime ever waits for it; the queue between
//! is bounded, so a reader that lags slows the crawl down instead of filling the memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use heist::sync::oneshot;

use crate::{Record, journal_records};

/// Lines that may wait for the writer.
const QUEUE: usize = 1024;

/// Writes one JSON object a line.
///
/// ```
/// use heist_crawler::{JsonLines, Record};
///
/// # heist::block_on(async {
/// let mut lines = JsonLines::new(Vec::new())?;
/// # let record = Record { url: "http://example.org/".into(), status: Some(200),
/// #     content_length: 5, elapsed_ms: 1.0, error: None, depth: 0, referrer: None,
/// #     redirect: None };
/// lines.write(&record).await?;
/// let bytes = lines.finish()?;
/// assert!(bytes.ends_with(b"}\n"));
/// # std::io::Result::Ok(())
/// # })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct JsonLines<W> {
    queue: SyncSender<Entry>,
    writer: JoinHandle<io::Result<W>>,
}

/// What the writer is told.
#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// To say when everything before it is written.
    Flush(oneshot::Sender<()>),
}

impl JsonLines<File> {
    /// Creates `path`, or empties it; `-` is standard output.
    ///
    /// # Errors
    ///
    /// Those of opening the file and of starting the writer's thread.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(open(path)?)
    }
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Writes into `target`. It needs no buffer of its own.
    ///
    /// # Errors
    ///
    /// That of starting the writer's thread.
    pub fn new(target: W) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let writer = thread::Builder::new()
            .name("crawl-output".to_owned())
            .spawn(move || write_lines(target, &lines))?;
        Ok(Self { queue, writer })
    }

    /// Queues a record. Lines reach the target in this order, soon.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] when the writer has given up; [`finish`](Self::finish) then
    /// tells why.
    ///
    /// # Cancel safety
    ///
    /// A call dropped while it waits for room may or may not have queued its record.
    ///
    /// # Panics
    ///
    /// When the queue is full outside a Heist runtime.
    pub async fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.send(Entry::Line(line)).await
    }

    /// Waits until all records so far have reached the target.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> io::Result<()> {
        let (done, is_done) = oneshot::channel();
        self.send(Entry::Flush(done)).await?;
        is_done.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn send(&mut self, entry: Entry) -> io::Result<()> {
        match self.queue.try_send(entry) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(TrySendError::Full(entry)) => {
                let queue = self.queue.clone();
                heist::spawn_blocking(move || queue.send(entry))
                    .await
                    .map_err(|error| io::Error::other(error.to_string()))?
                    .map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Writes what is queued and gives the target back. Blocks until that is done.
    ///
    /// # Errors
    ///
    /// The first error of the target, also one that [`write`](Self::write) hinted at.
    pub fn finish(self) -> io::Result<W> {
        drop(self.queue);
        self.writer
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the target of the output panicked")))
    }
}

/// The writer's thread: batches while there is more, flushes when there is not.
fn write_lines<W: Write>(target: W, lines: &Receiver<Entry>) -> io::Result<W> {
    let mut target = BufWriter::with_capacity(64 << 10, target);
    loop {
        let entry = match lines.try_recv() {
            Ok(entry) => entry,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                target.flush()?;
                match lines.recv() {
                    Ok(entry) => entry,
                    Err(_) => break,
                }
            }
        };
        match entry {
            Entry::Line(line) => target.write_all(&line)?,
            Entry::Flush(done) => {
                target.flush()?;
                // Whoever has asked may have gone.
                let _ = done.send(());
            }
        }
    }
    target.into_inner().map_err(io::IntoInnerError::into_error)
}

/// How much of an output an earlier run has written.
#[derive(Debug, Default)]
pub(crate) struct Resumed {
    lines: u64,
}

impl Resumed {
    /// Counts the lines of a file, and cuts off the half of one that a dying process has left.
    pub(crate) fn of(file: &mut File) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(256 << 10, &*file);
        let (mut lines, mut length, mut line) = (0, 0, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n") {
                lines += 1;
                length += line.len() as u64;
            }
            line.clear();
        }
        file.set_len(length)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { lines })
    }

    /// Adds the records that the journal has and the file has not. Both have them in the same order, and the journal
    /// has each before the file.
    pub(crate) fn catch_up(&self, journal: &Path, file: &mut File) -> io::Result<()> {
        let mut number = 0;
        let mut target = BufWriter::new(&*file);
        journal_records(journal, |record| {
            number += 1;
            if number > self.lines {
                serde_json::to_writer(&mut target, &record)?;
                target.write_all(b"\n")?;
            }
            Ok(())
        })?;
        target.flush()
    }
}

/// Opens `path` for writing; `-` is standard output.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" {
        // Rust's own handle flushes after every line, which costs a system call per record.
        return Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    }
    File::create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use std::io::Read;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    fn record(number: u64) -> Record {
        Record {
            url: format!("http://example.org/{number}"),
            status: Some(200),
            content_length: number,
            elapsed_ms: 0.5,
            error: None,
            depth: 0,
            referrer: None,
            redirect: None,
        }
    }

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str::<Record>(line).unwrap().content_length)
            .collect()
    }

    /// A target that is slow, and breaks after some bytes.
    struct Slow {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(1));
            if self.bytes.len() + bytes.len() > self.room {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "disk is full"));
            }
            let some = bytes.len().min(1000);
            self.bytes.extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The negative controls: count no lines; leave the half of one.
    #[test]
    fn an_output_is_caught_up_with_wherever_it_breaks_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, |_, _| {}, |_, _| Ok(())).unwrap();
        let mut whole = Vec::new();
        for number in 0..4 {
            journal.record(&record(number), true).unwrap();
            serde_json::to_writer(&mut whole, &record(number)).unwrap();
            whole.push(b'\n');
        }
        journal.write().unwrap();
        for length in 0..=whole.len() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&whole[..length]).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            let resumed = Resumed::of(&mut file).unwrap();
            resumed.catch_up(&path, &mut file).unwrap();
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(numbers(&bytes), [0, 1, 2, 3], "{length} of {}", whole.len());
        }
    }

    #[test]
    fn a_slow_target_gets_every_line_in_order() {
        let written = heist::block_on(async {
            let mut lines = JsonLines::new(Slow {
                bytes: Vec::new(),
                room: usize::MAX,
            })
            .unwrap();
            // Several queues full, so that the waiting path is taken.
            for number in 0..4 * QUEUE as u64 {
                lines.write(&record(number)).await.unwrap();
            }
            lines.finish().unwrap().bytes
        });
        assert_eq!(numbers(&written), (0..4 * QUEUE as u64).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_stops_the_writing_and_is_told_at_the_end() {
        heist::block_on(async {
            let mut lines = JsonLines::new(Slow {
                bytes: Vec::new(),
                room: 5000,
            })
            .unwrap();
            let mut failed = false;
            for number in 0..100_000 {
                if let Err(error) = lines.write(&record(number)).await {
                    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
                    failed = true;
                    break;
                }
            }
            assert!(failed, "a broken target must end the loop of its user");
            let Err(error) = lines.finish() else {
                panic!("the error was swallowed")
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        });
    }

    #[test]
    fn an_error_on_the_last_flush_is_not_lost() {
        heist::block_on(async {
            let mut lines = JsonLines::new(Slow {
                bytes: Vec::new(),
                room: 10,
            })
            .unwrap();
            lines.write(&record(1)).await.unwrap();
            assert!(lines.finish().is_err());
        });
    }

    #[test]
    fn a_lone_line_does_not_wait_for_company() {
        #[derive(Clone, Default)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        heist::block_on(async {
            let mut lines = JsonLines::new(shared.clone()).unwrap();
            lines.write(&record(7)).await.unwrap();
            for _ in 0..5000 {
                if !shared.0.lock().unwrap().is_empty() {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(numbers(&shared.0.lock().unwrap()), [7]);
            lines.finish().unwrap();
        });
    }
}
