//! Random reads of 4 KiB blocks of a file, so many in flight at a time: of one that the kernel has in its
//! cache, and of one that is on the disk.
//!
//! The tasks share the file; each reads a block into a buffer that it owns, waits for it, checks it, and
//! reads the next one. With the cache nothing ever waits for a disk, so what is measured is the way of a
//! request to the kernel and back, and a figure is the reads that ended in a second. Without it every block
//! is read once, in an order that has nothing to do with its place.
//!
//! By hand, cached reads are `pread(2)` in a loop, one thread for each worker: the copying and nothing else.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    process,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::window::{Phase, Window, merged};
use crate::{
    meter::{Cost, Meter},
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Point, Scale, Scenario},
    stats::Histogram,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    blocks: usize,
    in_flight: usize,
    reads: Reads,
}

/// Where the blocks come from.
#[derive(Clone, Copy, Debug)]
enum Reads {
    /// The kernel's cache, for so long.
    Cached(Window),
    /// The disk, so many of them.
    Uncached(usize),
}

const BLOCK: usize = 4096;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let mib: usize = scale.pick(64, 4);
    let blocks = (mib << 20) / BLOCK;
    let window = Window::new(scale, Duration::from_millis(500));
    let depths = [1, 16, 64, 256];
    let cached = depths.map(|in_flight| (in_flight, Reads::Cached(window)));
    let uncached = depths.map(|in_flight| {
        let reads = scale.pick(in_flight * 2000, 200).min(blocks);
        (in_flight, Reads::Uncached(reads))
    });
    cached
        .into_iter()
        .chain(uncached)
        .map(|(in_flight, reads)| {
            Box::new(Files {
                blocks,
                in_flight,
                reads,
            }) as Box<dyn AnyScenario>
        })
        .collect()
}

impl Scenario for Files {
    fn name(&self) -> String {
        let kind = match self.reads {
            Reads::Cached(_) => "cached",
            Reads::Uncached(_) => "uncached",
        };
        format!("{kind} reads of 4 KiB, {} in flight", self.in_flight)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "reads/s")]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: matches!(self.reads, Reads::Cached(_)),
        }
    }

    fn points(&self) -> Vec<Point> {
        let curve = match self.reads {
            Reads::Cached(_) => "cached reads of 4 KiB",
            Reads::Uncached(_) => "uncached reads of 4 KiB",
        };
        vec![Point {
            curve: (curve, "in flight"),
            x: self.in_flight,
        }]
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        match self.reads {
            Reads::Cached(window) => self.cached(runtime, window),
            Reads::Uncached(reads) => self.uncached(runtime, reads),
        }
    }

    fn run_by_hand(&self, threads: usize) -> Option<Outcome> {
        let Reads::Cached(window) = self.reads else {
            return None;
        };
        let blocks = self.blocks;
        let file = self.file();
        let phase = Phase::default();
        let (cost, reads) = thread::scope(|scope| {
            let (file, phase) = (&file, &phase);
            let readers: Vec<_> = (0..threads as u64)
                .map(|seed| scope.spawn(move || reader_by_hand(file, blocks, seed, phase)))
                .collect();
            let cost = window.pass_blocking(phase);
            let reads = readers.into_iter().map(|reader| reader.join());
            let reads = merged(reads.map(|reads| reads.expect("the thread does not panic")));
            (cost, reads)
        });
        Some(outcome(cost, &reads))
    }
}

impl Files {
    /// Reads whatever block chance wants, until the time is over.
    fn cached<R: Contestant>(self, runtime: &R, window: Window) -> Outcome {
        let Self {
            blocks, in_flight, ..
        } = self;
        let file = Arc::new(self.file());
        let (cost, reads) = window.busy(runtime, move |share, phase| {
            let file = Arc::clone(&file);
            async move {
                let file = R::file(file.try_clone().expect("a descriptor is free")).await;
                let first = share.index as u64;
                (0..share.part(in_flight) as u64)
                    .map(|index| {
                        let (file, phase) = (file.clone(), Arc::clone(&phase));
                        let mut random = fastrand::Rng::with_seed(index * share.of as u64 + first);
                        let watched = Arc::clone(&phase);
                        let next = move || (!watched.is_over()).then(|| random.usize(..blocks));
                        let counts = move || phase.counts();
                        R::spawn(reader::<R>(file, next, counts))
                    })
                    .collect()
            }
        });
        outcome(cost, &merged(reads))
    }

    /// Reads so many blocks in a random order, none of them twice.
    fn uncached<R: Contestant>(self, runtime: &R, reads: usize) -> Outcome {
        let in_flight = self.in_flight;
        let file = self.file();
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .expect("a file may be taken out of the cache");
        let file = Arc::new(file);
        let mut order: Vec<_> = (0..self.blocks).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut order);
        order.truncate(reads);
        let order = Arc::new(order);
        let taken = Arc::new(AtomicUsize::new(0));
        let meter = Meter::start();
        let shares = runtime.run_shares(move |share| {
            let (file, order, taken) = (Arc::clone(&file), Arc::clone(&order), Arc::clone(&taken));
            async move {
                let file = R::file(file.try_clone().expect("a descriptor is free")).await;
                let tasks: Vec<_> = (0..share.part(in_flight))
                    .map(|_| {
                        let (order, taken) = (Arc::clone(&order), Arc::clone(&taken));
                        // Relaxed: each index is taken once, and nothing else hangs on it.
                        let next =
                            move || order.get(taken.fetch_add(1, Ordering::Relaxed)).copied();
                        R::spawn(reader::<R>(file.clone(), next, || true))
                    })
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

    /// The file, written when it is first wanted and read from end to end each time.
    fn file(self) -> File {
        static FILES: [OnceLock<File>; 2] = [const { OnceLock::new() }; 2];
        // The two scales have a file each.
        let place = usize::from(self.blocks > 8192);
        let file = FILES[place].get_or_init(|| {
            create(self.blocks).expect("the directory for temporary files is usable")
        });
        let mut block = [0; BLOCK];
        for index in 0..self.blocks {
            file.read_exact_at(&mut block, (index * BLOCK) as u64)
                .expect("it is long enough");
            check(&block, index);
        }
        file.try_clone().expect("a descriptor is free")
    }
}

/// A file whose blocks begin with their numbers. It has lost its name already: nobody has to remove it.
fn create(blocks: usize) -> io::Result<File> {
    let path = env::temp_dir().join(format!(
        "heist-bench-{}-{:016x}",
        process::id(),
        fastrand::u64(..)
    ));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    let mut block = [0; BLOCK];
    for index in 0..blocks {
        block[..8].copy_from_slice(&(index as u64).to_le_bytes());
        file.write_all(&block)?;
    }
    // What the kernel writes back later would disturb the first runs.
    file.sync_all()?;
    Ok(file)
}

fn check(block: &[u8], index: usize) {
    assert_eq!(
        block[..8],
        (index as u64).to_le_bytes(),
        "this is another block"
    );
}

fn outcome(cost: Cost, reads: &Histogram) -> Outcome {
    let count = reads.count();
    // Criterion is shown the time of a thousand reads.
    let time = cost.elapsed.mul_f64(1000.0 / count.max(1) as f64);
    let rate = count as f64 / cost.elapsed.as_secs_f64();
    Outcome::new(time, vec![rate], cost, count).with_latency(reads)
}

/// Reads one block after the other as long as `next` names one; yields how long those took that
/// count.
async fn reader<R: Contestant>(
    file: R::File,
    mut next: impl FnMut() -> Option<usize> + Send,
    counts: impl Fn() -> bool + Send,
) -> Histogram {
    let mut block = R::block(BLOCK);
    let mut latencies = Histogram::default();
    let mut began = Instant::now();
    while let Some(index) = next() {
        block = R::read_at(&file, block, (index * BLOCK) as u64).await;
        check(block.as_ref(), index);
        let ended = Instant::now();
        if counts() {
            latencies.record(ended - began);
        }
        began = ended;
    }
    latencies
}

fn reader_by_hand(file: &File, blocks: usize, seed: u64, phase: &Phase) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut block = [0; BLOCK];
    let mut latencies = Histogram::default();
    while !phase.is_over() {
        let index = random.usize(..blocks);
        let began = Instant::now();
        file.read_exact_at(&mut block, (index * BLOCK) as u64)
            .expect("it is long enough");
        check(&block, index);
        if phase.counts() {
            latencies.record(began.elapsed());
        }
    }
    latencies
}
