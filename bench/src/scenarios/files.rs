//! Random reads of a file that the kernel has in its cache, one block of 4 KiB at a time.
//!
//! 64 tasks of one runtime share the file; each reads a block into a buffer that it owns, waits for it,
//! checks it, and reads the next one. Nothing ever waits for a disk, so what is measured is the way of a
//! request to the kernel and back. A figure is the reads that ended in a second.
//!
//! By hand it is `pread(2)` in a loop, one thread for each worker: the copying and nothing else.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    process,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use super::window::{Phase, Window};
use crate::{
    meter::Cost,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Debug)]
pub struct Files {
    blocks: u64,
    window: Window,
    file: OnceLock<File>,
}

const TASKS: u64 = 64;
const BLOCK: usize = 4096;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let mib: usize = scale.pick(64, 4);
    vec![Box::new(Files {
        blocks: ((mib << 20) / BLOCK) as u64,
        window: Window::new(scale, Duration::from_secs(1)),
        file: OnceLock::new(),
    })]
}

impl Scenario for Files {
    fn name(&self) -> String {
        format!("files, {TASKS} tasks read 4 KiB blocks")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "reads/s").ratio(10.0)]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: true,
            ..Others::default()
        }
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { blocks, window, .. } = *self;
        let file = R::file(self.cached());
        let (cost, reads) = runtime.run(async move {
            let phase = Arc::new(Phase::default());
            let readers: Vec<_> = (0..TASKS)
                .map(|seed| R::spawn(reader::<R>(file.clone(), blocks, seed, Arc::clone(&phase))))
                .collect();
            let cost = window.pass::<R>(phase).await;
            let mut reads = 0;
            for reader in readers {
                reads += reader.await.expect("the task does not panic");
            }
            (cost, reads)
        });
        outcome(cost, reads)
    }

    fn run_by_hand(&self, threads: usize) -> Option<Outcome> {
        let Self { blocks, window, .. } = *self;
        let file = self.cached();
        let phase = Phase::default();
        let (cost, reads) = thread::scope(|scope| {
            let (file, phase) = (&file, &phase);
            let readers: Vec<_> = (0..threads as u64)
                .map(|seed| scope.spawn(move || reader_by_hand(file, blocks, seed, phase)))
                .collect();
            let cost = window.pass_blocking(phase);
            let reads = readers.into_iter().map(|reader| reader.join());
            let reads: u64 = reads.map(|one| one.expect("it does not panic")).sum();
            (cost, reads)
        });
        Some(outcome(cost, reads))
    }
}

impl Files {
    /// The file, written when it is first wanted and read from end to end each time.
    fn cached(&self) -> File {
        let file = self.file.get_or_init(|| {
            create(self.blocks).expect("the directory for temporary files is usable")
        });
        let mut block = [0; BLOCK];
        for index in 0..self.blocks {
            let offset = index * BLOCK as u64;
            file.read_exact_at(&mut block, offset)
                .expect("it is long enough");
            check(&block, index);
        }
        file.try_clone().expect("a descriptor is free")
    }
}

/// A file whose blocks begin with their numbers. It has lost its name already: nobody has to remove it.
fn create(blocks: u64) -> io::Result<File> {
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
        block[..8].copy_from_slice(&index.to_le_bytes());
        file.write_all(&block)?;
    }
    // What the kernel writes back later would disturb the first runs.
    file.sync_all()?;
    Ok(file)
}

fn check(block: &[u8], index: u64) {
    assert_eq!(block[..8], index.to_le_bytes(), "this is another block");
}

fn outcome(cost: Cost, reads: u64) -> Outcome {
    Outcome {
        // Criterion is shown the time of a thousand reads.
        time: cost.elapsed.mul_f64(1000.0 / reads.max(1) as f64),
        values: vec![reads as f64 / cost.elapsed.as_secs_f64()],
        cost,
        operations: reads,
    }
}

/// Reads one block after the other until the window is over; yields how many it read in it.
async fn reader<R: Contestant>(file: R::File, blocks: u64, seed: u64, phase: Arc<Phase>) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = vec![0; BLOCK].into_boxed_slice();
    let mut reads = 0;
    while !phase.is_over() {
        let index = random.u64(..blocks);
        buffer = R::read_at(&file, buffer, index * BLOCK as u64).await;
        check(&buffer, index);
        reads += u64::from(phase.counts());
    }
    reads
}

fn reader_by_hand(file: &File, blocks: u64, seed: u64, phase: &Phase) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = [0; BLOCK];
    let mut reads = 0;
    while !phase.is_over() {
        let index = random.u64(..blocks);
        file.read_exact_at(&mut buffer, index * BLOCK as u64)
            .expect("it is long enough");
        check(&buffer, index);
        reads += u64::from(phase.counts());
    }
    reads
}
