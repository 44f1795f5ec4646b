//! Files from their names on: whole files of 4 KiB that the kernel has in its cache, opened, read and closed, so many
//! at a time; and one file that is created and written from the start to the end, in pieces.
//!
//! This is what decides where Heist's `fs` does its work. A figure is the files in a second, or the MiB in a
//! second that the kernel has taken; nothing waits for a disk.
//!
//! By hand it is what the standard library does, one thread for each worker.

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::window::merged;
use crate::{
    meter::{Cost, Meter},
    rt::{Contestant, message},
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::Histogram,
};

/// Files there are.
const FILES: usize = 256;
/// Bytes of each of them.
const SIZE: usize = 4096;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let whole = [1, 16].map(|at_a_time| Whole {
        at_a_time,
        reads: scale.pick(40_000, 400),
    });
    let written = [4 << 10, 64 << 10].map(|piece| Written {
        piece,
        pieces: scale.pick(64 << 20, 256 << 10) / piece,
    });
    let whole = whole.map(|one| Box::new(one) as Box<dyn AnyScenario>);
    let written = written.map(|one| Box::new(one) as Box<dyn AnyScenario>);
    whole.into_iter().chain(written).collect()
}

/// A directory for one run.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = env::temp_dir().join(format!(
            "heist-bench-{}-{:016x}",
            process::id(),
            fastrand::u64(..)
        ));
        fs::create_dir(&path).expect("the directory for temporary files is usable");
        Self(path)
    }

    /// Fills it with what is read.
    fn paths(&self) -> Arc<[PathBuf]> {
        let paths: Arc<[_]> = (0..FILES).map(|i| self.0.join(i.to_string())).collect();
        for (index, path) in paths.iter().enumerate() {
            fs::write(path, content(index)).expect("there is room");
        }
        paths
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever cleans the directory for temporary files finds what is left.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn content(index: usize) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
    bytes
}

/// Opened, read and closed.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    at_a_time: usize,
    reads: usize,
}

impl Scenario for Whole {
    fn name(&self) -> String {
        let at_a_time = self.at_a_time;
        format!("open, read and close of 4 KiB, {at_a_time} at a time")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "files/s")]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: true,
        }
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { at_a_time, reads } = *self;
        let folder = Folder::new();
        let paths = folder.paths();
        let taken = Arc::new(AtomicUsize::new(0));
        let meter = Meter::start();
        let shares = runtime.run_shares(move |share| {
            let (paths, taken) = (Arc::clone(&paths), Arc::clone(&taken));
            async move {
                let tasks: Vec<_> = (0..share.part(at_a_time))
                    .map(|_| R::spawn(reader::<R>(Arc::clone(&paths), Arc::clone(&taken), reads)))
                    .collect();
                let mut latencies = Histogram::default();
                for task in tasks {
                    latencies.add(&task.await.expect("the task does not panic"));
                }
                latencies
            }
        });
        outcome(meter.stop(), &merged(shares))
    }

    fn run_by_hand(&self, threads: usize) -> Option<Outcome> {
        let folder = Folder::new();
        let (paths, taken, reads) = (folder.paths(), AtomicUsize::new(0), self.reads);
        let threads = threads.min(self.at_a_time);
        let meter = Meter::start();
        let latencies = thread::scope(|scope| {
            let read = || {
                let mut latencies = Histogram::default();
                while let Some(index) = next(&taken, reads) {
                    let began = Instant::now();
                    check(&fs::read(&paths[index]).expect("it is there"), index);
                    latencies.record(began.elapsed());
                }
                latencies
            };
            let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
            let readers = readers.into_iter().map(|reader| reader.join());
            merged(readers.map(|reader| reader.expect("the thread does not panic")))
        });
        Some(outcome(meter.stop(), &latencies))
    }
}

/// The file that is read next, until so many have been.
fn next(taken: &AtomicUsize, reads: usize) -> Option<usize> {
    // Relaxed: each number is taken once, and nothing else hangs on it.
    let number = taken.fetch_add(1, Ordering::Relaxed);
    (number < reads).then_some(number * 31 % FILES)
}

fn check(bytes: &[u8], index: usize) {
    assert_eq!(bytes.len(), SIZE, "this is a part of a file");
    assert_eq!(
        bytes[..8],
        (index as u64).to_le_bytes(),
        "this is another file"
    );
}

async fn reader<R: Contestant>(
    paths: Arc<[PathBuf]>,
    taken: Arc<AtomicUsize>,
    reads: usize,
) -> Histogram {
    let mut latencies = Histogram::default();
    while let Some(index) = next(&taken, reads) {
        let began = Instant::now();
        check(&R::read_file(paths[index].clone()).await, index);
        latencies.record(began.elapsed());
    }
    latencies
}

fn outcome(cost: Cost, reads: &Histogram) -> Outcome {
    let count = reads.count();
    let time = cost.elapsed.mul_f64(1000.0 / count.max(1) as f64);
    let rate = count as f64 / cost.elapsed.as_secs_f64();
    Outcome::new(time, vec![rate], cost, count).with_latency(reads)
}

/// Created, written from the start to the end, and closed.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    piece: usize,
    pieces: usize,
}

impl Scenario for Written {
    fn name(&self) -> String {
        format!("a new file in pieces of {} KiB", self.piece >> 10)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "MiB/s")]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: true,
        }
    }

    fn repeats(&self) -> usize {
        3
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { piece, pieces } = *self;
        let folder = Folder::new();
        let path = folder.0.join("new");
        let there = path.clone();
        let meter = Meter::start();
        runtime.run(async move { R::write_file(there, message(piece), pieces).await });
        self.outcome(meter.stop(), &path)
    }

    fn run_by_hand(&self, _threads: usize) -> Option<Outcome> {
        let folder = Folder::new();
        let path = folder.0.join("new");
        let meter = Meter::start();
        let mut file = File::create(&path).expect("a new name");
        for _ in 0..self.pieces {
            file.write_all(message(self.piece)).expect("there is room");
        }
        drop(file);
        Some(self.outcome(meter.stop(), &path))
    }
}

impl Written {
    fn outcome(self, cost: Cost, path: &Path) -> Outcome {
        let length = fs::metadata(path).expect("it was created").len();
        assert_eq!(length, (self.piece * self.pieces) as u64, "all was written");
        let rate = length as f64 / f64::from(1 << 20) / cost.elapsed.as_secs_f64();
        let elapsed: Duration = cost.elapsed;
        Outcome::new(elapsed, vec![rate], cost, self.pieces as u64)
    }
}
