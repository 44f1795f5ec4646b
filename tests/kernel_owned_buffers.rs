//! The kernel never writes into memory that has been freed. Memory checkers do not see the kernel's
//! writes, so an allocator does: it fills what is freed with a pattern, holds it back, and checks the
//! pattern before it lets go. Beside it operations of all kinds are submitted, dropped, cancelled and
//! forgotten at random, with their data arriving before, meanwhile and long after, also when the runtime
//! is gone.
//!
//! Negative control: a receive into a buffer that is freed too early, on a ring of the test's own, is
//! noticed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "the allocator, and the control's misdeed")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::future::Future;
use std::io::Write;
use std::net::TcpStream as StdStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{Polls, Random, STEALING, Watchdog, alone, builder, scaled};
use heist::ops::{self, Acceptor, Receiver, SharedFd};
use heist::time::{sleep, timeout};
use heist::{spawn, yield_now};
use io_uring::{IoUring, opcode, types};

const PATTERN: u8 = 0xd7;
/// Blocks held back.
const PLACES: usize = 1 << 14;
/// Larger blocks are held back too, but not too many bytes of them.
const LARGEST: usize = 1 << 16;

/// Blocks that were freed, oldest first.
struct Quarantine {
    locked: AtomicBool,
    next: UnsafeCell<usize>,
    blocks: UnsafeCell<[Option<(usize, Layout)>; PLACES]>,
}

// SAFETY: the cells are used only while `locked` is held.
unsafe impl Sync for Quarantine {}

static CORRUPTED: AtomicUsize = AtomicUsize::new(0);

/// Counts a block that somebody has written to. Reports nothing: it must not allocate.
///
/// # Safety
///
/// The block is readable and nobody frees it meanwhile.
unsafe fn inspect(address: usize, layout: Layout) {
    let pointer = std::ptr::with_exposed_provenance::<u8>(address);
    for at in 0..layout.size() {
        // SAFETY: inside the block.
        let place = unsafe { pointer.add(at) };
        // SAFETY: as above; volatile, as the kernel may have written it.
        let byte = unsafe { place.read_volatile() };
        if byte != PATTERN {
            CORRUPTED.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

impl Quarantine {
    fn locked<R>(
        &self,
        f: impl FnOnce(&mut usize, &mut [Option<(usize, Layout)>; PLACES]) -> R,
    ) -> R {
        while self.locked.swap(true, Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: the lock is held.
        let next = unsafe { &mut *self.next.get() };
        // SAFETY: the lock is held.
        let blocks = unsafe { &mut *self.blocks.get() };
        let result = f(next, blocks);
        self.locked.store(false, Ordering::Release);
        result
    }

    /// Takes a block in and gives the oldest one out.
    fn exchange(&self, address: usize, layout: Layout) -> Option<(usize, Layout)> {
        self.locked(|next, blocks| {
            let old = blocks[*next].replace((address, layout));
            *next = (*next + 1) % PLACES;
            old
        })
    }

    /// Inspects everything held back. Returns how many blocks have been found corrupted so far.
    fn check(&self) -> usize {
        self.locked(|_, blocks| {
            for (address, layout) in blocks.iter().flatten() {
                // SAFETY: the block is held back, and the lock keeps it from being let go.
                unsafe { inspect(*address, *layout) };
            }
        });
        CORRUPTED.load(Ordering::SeqCst)
    }
}

// SAFETY: memory comes from and goes back to the system's allocator, later than asked.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() > LARGEST {
            // SAFETY: as the caller vouches.
            return unsafe { System.dealloc(pointer, layout) };
        }
        // SAFETY: the caller gives the block up, all of it.
        unsafe { pointer.write_bytes(PATTERN, layout.size()) };
        if let Some((address, layout)) = self.exchange(pointer.expose_provenance(), layout) {
            // SAFETY: the block is nobody's but ours now.
            unsafe { inspect(address, layout) };
            let pointer = std::ptr::with_exposed_provenance_mut(address);
            // SAFETY: it came from the system's allocator with this layout, and is let go once.
            unsafe { System.dealloc(pointer, layout) };
        }
    }
}

#[global_allocator]
static QUARANTINE: Quarantine = Quarantine {
    locked: AtomicBool::new(false),
    next: UnsafeCell::new(0),
    blocks: UnsafeCell::new([None; PLACES]),
};

/// The far ends of sockets, written to by a thread at random moments: some long after the operation, or
/// the runtime, is gone.
#[derive(Clone, Default)]
struct FarEnds(Arc<Mutex<Vec<UnixStream>>>);

impl FarEnds {
    fn pair(&self) -> SharedFd {
        let (here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let mut ends = self.0.lock().unwrap();
        ends.push(there);
        if ends.len() > 200 {
            ends.remove(0);
        }
        SharedFd::new(OwnedFd::from(here))
    }

    /// Writes to some, or to all.
    fn feed(&self, all: bool, random: &mut Random) {
        for end in self.0.lock().unwrap().iter_mut() {
            if all || random.below(3) == 0 {
                // Nobody may be there any more.
                drop(end.write(&[0xaa; 3000]));
            }
        }
    }

    fn feed_for(&self, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
        let ends = self.clone();
        thread::spawn(move || {
            let mut random = Random::new(11);
            while !stop.load(Ordering::SeqCst) {
                ends.feed(false, &mut random);
                thread::sleep(Duration::from_micros(random.below(800)));
            }
        })
    }
}

type Any = Pin<Box<dyn Future<Output = ()> + Send>>;

fn any(future: impl Future<Output: Send> + Send + 'static) -> Any {
    Box::pin(async move { drop(future.await) })
}

/// An operation of a random kind whose memory the kernel uses.
fn operation(ends: &FarEnds, random: &mut Random) -> Any {
    let fd = ends.pair();
    let size = 1 + random.below(2000) as usize;
    match random.below(11) {
        0 | 1 => any(ops::recv(&fd, vec![0; size], 0)),
        2 => any(ops::read_at(
            &fd,
            vec![0; size].into_boxed_slice(),
            u64::MAX,
        )),
        3 => any(ops::recv_msg(&fd, vec![0; size])),
        // More than the socket takes: it waits for room.
        4 => any(ops::send(&fd, vec![1; 400_000], 0, 0x100)),
        5 => any(ops::write_at(&fd, vec![1; size], u64::MAX)),
        6 => any(async move { Receiver::new(fd).recv().await }),
        7 => any(ops::statx("/proc/self/status").unwrap()),
        8 => any(async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut acceptor = Acceptor::new(SharedFd::new(OwnedFd::from(listener)));
            let peer = spawn(async move { StdStream::connect(address) });
            drop(acceptor.accept().await);
            drop(peer.await);
        }),
        9 => any(async move {
            // The peer reads nothing, so the memory is the network's until both ends are gone.
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let here = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let fd = SharedFd::new(OwnedFd::from(here));
            let peer = listener.accept();
            drop(ops::send_zero_copy(&fd, vec![1; LARGEST], 0).await);
            drop(ops::send_zero_copy(&fd, vec![1; size], 0).await);
            drop(peer);
        }),
        _ => any(async move {
            let mut receive = ops::recv(&fd, vec![0; size], 0);
            Polls::new(1, &mut receive).await;
            receive.request_cancel();
            drop(receive.await);
        }),
    }
}

/// Submits an operation and gives it up in a random way.
async fn misuse(ends: FarEnds, seed: u64, count: u64) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let future = operation(&ends, &mut random);
        match random.below(6) {
            0 => drop(Polls::new(random.below(3), future).await),
            1 => {
                let patience = Duration::from_micros(random.below(500));
                let _in_time: Result<(), _> = timeout(patience, future).await;
            }
            2 => {
                let task = spawn(future);
                yield_now().await;
                task.cancel();
                drop(task.await);
            }
            3 => drop(spawn(future)),
            4 => {
                // Polled here, dropped on another worker perhaps.
                let mut polled = future;
                Polls::new(1, &mut polled).await;
                drop(spawn(async move {
                    yield_now().await;
                    drop(polled);
                }));
            }
            _ => {
                let mut forgotten = future;
                Polls::new(1, &mut forgotten).await;
                // Rarely: nothing ever closes the descriptors of what is forgotten.
                if random.below(8) == 0 {
                    std::mem::forget(forgotten);
                }
            }
        }
        if random.below(8) == 0 {
            sleep(Duration::from_micros(random.below(300))).await;
        }
    }
}

#[test]
fn random_misuse_never_has_the_kernel_write_into_freed_memory() {
    let _alone = alone();
    let _watchdog = Watchdog::new("random_misuse", 90);
    let (ends, stop) = (FarEnds::default(), Arc::new(AtomicBool::new(false)));
    let feeder = ends.feed_for(stop.clone());
    let before = QUARANTINE.check();
    for profile in STEALING {
        for round in 0..scaled(3, 60) {
            let workers = [1, 2, 4][round as usize % 3];
            let runtime = builder(workers, profile).build().unwrap();
            runtime.block_on(async {
                let tasks: Vec<_> = (0..8)
                    .map(|seed| spawn(misuse(ends.clone(), 8 * round + seed, 150)))
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            // What was forgotten is in flight to the end.
            drop(runtime);
            ends.feed(true, &mut Random::new(1));
            assert_eq!(QUARANTINE.check(), before, "{profile:?}, {workers} workers");
        }
    }
    stop.store(true, Ordering::SeqCst);
    feeder.join().unwrap();
    assert_eq!(QUARANTINE.check(), before);
}

/// Memory of the kind that rings and receive buffers are mapped from, which fills the holes they leave.
fn map_and_fill(count: usize, bytes: usize) -> Vec<memory::Mapped> {
    (0..count).map(|_| memory::Mapped::new(bytes)).collect()
}

mod memory {
    //! Mappings filled with the pattern.

    use super::PATTERN;

    pub(super) struct Mapped {
        base: *mut u8,
        bytes: usize,
    }

    impl Mapped {
        pub(super) fn new(bytes: usize) -> Self {
            // SAFETY: a fresh private mapping overlaps nothing.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            assert_ne!(base, libc::MAP_FAILED);
            let base: *mut u8 = base.cast();
            // SAFETY: all of it is ours.
            unsafe { base.write_bytes(PATTERN, bytes) };
            Self { base, bytes }
        }

        /// Whether nobody has written to it.
        pub(super) fn is_intact(&self) -> bool {
            (0..self.bytes).all(|at| {
                // SAFETY: inside the mapping.
                let place = unsafe { self.base.add(at) };
                // SAFETY: as above; volatile, as the kernel may have written it.
                unsafe { place.read_volatile() == PATTERN }
            })
        }
    }

    impl Drop for Mapped {
        fn drop(&mut self) {
            // SAFETY: our own mapping, used no more.
            unsafe { libc::munmap(self.base.cast(), self.bytes) };
        }
    }
}

#[test]
fn a_runtime_dropped_in_the_middle_leaves_its_memory_to_nobody() {
    let _alone = alone();
    let _watchdog = Watchdog::new("a_runtime_dropped_in_the_middle", 90);
    let before = QUARANTINE.check();
    // Nothing closes the descriptors of what is forgotten, which limits the rounds.
    for round in 0..scaled(4, 60) {
        for profile in STEALING {
            for workers in [1, 2, 4] {
                let ends = FarEnds::default();
                let built = builder(workers, profile).receive_buffers(8, 16).build();
                let runtime = built.unwrap();
                runtime.block_on(async {
                    let mut random = Random::new(round + 1);
                    for _ in 0..100 {
                        drop(spawn(operation(&ends, &mut random)));
                        if random.below(5) == 0 {
                            let mut forgotten = operation(&ends, &mut random);
                            Polls::new(1, &mut forgotten).await;
                            std::mem::forget(forgotten);
                        }
                    }
                    for _ in 0..round {
                        yield_now().await;
                    }
                });
                drop(runtime);
                // The buffers' mapping was 256 KiB; whatever took its place must stay as it is.
                let mapped = map_and_fill(6, 256 << 10);
                ends.feed(true, &mut Random::new(1));
                thread::sleep(Duration::from_millis(1));
                assert!(mapped.iter().all(memory::Mapped::is_intact));
                assert_eq!(QUARANTINE.check(), before, "{profile:?}, {workers} workers");
            }
        }
    }
}

#[test]
fn control_a_buffer_freed_too_early_is_noticed() {
    let _alone = alone();
    let before = QUARANTINE.check();
    let (here, mut there) = UnixStream::pair().unwrap();
    let mut ring = IoUring::new(8).unwrap();
    let mut buffer = vec![0_u8; 512];
    let fd = types::Fd(here.as_raw_fd());
    let entry = opcode::Recv::new(fd, buffer.as_mut_ptr(), 512).build();
    // SAFETY: none; this is the mistake. The allocator keeps the memory mapped, so that nothing worse
    // comes of it.
    unsafe { ring.submission().push(&entry) }.unwrap();
    ring.submit().unwrap();
    drop(buffer);
    assert_eq!(QUARANTINE.check(), before, "nothing has been written yet");
    there.write_all(&[0x11; 64]).unwrap();
    ring.submit_and_wait(1).unwrap();
    let noticed = QUARANTINE.check() - before;
    assert_eq!(
        noticed, 1,
        "the allocator does not see what the kernel does"
    );
    // The block is found once more when it leaves the quarantine, which is not another mistake.
    QUARANTINE.locked(|_, blocks| {
        for (address, layout) in blocks.iter().flatten() {
            let pointer = std::ptr::with_exposed_provenance_mut::<u8>(*address);
            // SAFETY: held back, under the lock.
            unsafe { pointer.write_bytes(PATTERN, layout.size()) };
        }
    });
}
