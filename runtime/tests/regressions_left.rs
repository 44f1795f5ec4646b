//! Operations that the kernel does not cancel once it has begun them: they held `block_on` up for as long
//! as they took, at most ten seconds, and after that a `block_on` on another thread panicked.

#![expect(unsafe_code, reason = "an operation of the test's own")]

mod common;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::{Watchdog, after, runtime};
use heist_runtime::ops::{self, Completion, Op, Operation, SharedFd};
use heist_runtime::{JoinHandle, RingProfile, Runtime, spawn, spawn_blocking};
use io_uring::{opcode, squeue, types};

/// Bytes of the buffer that is read into again and again.
const CHUNK: usize = 2 << 20;
const CHUNKS: usize = 1023;

/// Reads 2 GB of a file in memory, which takes a while and does not look at cancels.
struct LongRead {
    file: SharedFd,
    buffer: Vec<u8>,
    vectors: Vec<libc::iovec>,
}

// SAFETY: the pointers in `vectors` are to the operation's own buffer.
unsafe impl Send for LongRead {}

// SAFETY: the vectors and what they point to are on the heap, owned by `self`, which keeps the file open.
unsafe impl Operation for LongRead {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> squeue::Entry {
        let vector = libc::iovec {
            iov_base: self.buffer.as_mut_ptr().cast(),
            iov_len: CHUNK,
        };
        self.vectors = vec![vector; CHUNKS];
        let count = self.vectors.len() as u32;
        opcode::Readv::new(
            types::Fd(self.file.as_raw_fd()),
            self.vectors.as_ptr().cast(),
            count,
        )
        .offset(0)
        .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result().map(|count| count as usize)
    }
}

fn long_read() -> Op<LongRead> {
    // SAFETY: the name is a C string.
    let raw = unsafe { libc::memfd_create(c"long read".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(raw >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel just returned this descriptor to us alone.
    let file = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: the call takes no pointers.
    let sized = unsafe { libc::ftruncate(raw, 1 << 31) };
    assert_eq!(sized, 0, "{}", io::Error::last_os_error());
    Op::new(LongRead {
        file: SharedFd::new(file),
        buffer: vec![1; CHUNK],
        vectors: Vec::new(),
    })
}

static ALONE: Mutex<()> = Mutex::new(());

/// One of these tests at a time: together their reads would take longer than a shutdown waits.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a long read as worker 0, and leaves while the kernel is at it.
fn begin(runtime: &Runtime) -> JoinHandle<io::Result<usize>> {
    let (mut read, mut begun) = (None, None);
    runtime.block_on(async {
        read = Some(spawn(long_read()));
        // Meanwhile it is polled, and begun.
        after(Duration::from_millis(20)).await;
        begun = Some(Instant::now());
    });
    let took = begun.map(|begun| begun.elapsed());
    assert!(
        took < Some(Duration::from_millis(1500)),
        "block_on took {took:?} to return"
    );
    read.expect("spawned")
}

/// Uses the ring, the buffers, the timers and the bell of worker 0.
fn works(runtime: &Runtime) {
    runtime.block_on(async {
        let (fd, mut there) = common::pair();
        let mut receiver = ops::Receiver::new(fd);
        let writing = spawn_blocking(move || {
            thread::sleep(Duration::from_millis(5));
            io::Write::write_all(&mut there, b"hello")
        });
        let received = receiver.recv().await.expect("received").expect("no end");
        assert_eq!(&*received, b"hello");
        writing.await.expect("no panic").expect("written");
        after(Duration::from_millis(5)).await;
    });
}

fn is_all(read: Result<io::Result<usize>, heist_runtime::JoinError>) {
    assert_eq!(read.expect("no panic").expect("read"), CHUNK * CHUNKS);
}

#[test]
fn an_operation_left_behind_completes_for_the_thread_that_began_it() {
    let _alone = alone();
    let _watchdog =
        Watchdog::new("an_operation_left_behind_completes_for_the_thread_that_began_it");
    let runtime = runtime(2, RingProfile::Defer);
    let read = begin(&runtime);
    thread::scope(|scope| {
        scope.spawn(|| works(&runtime));
    });
    works(&runtime);
    is_all(runtime.block_on(read));
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
}

#[test]
fn an_operation_left_behind_completes_when_its_thread_exits() {
    let _alone = alone();
    let _watchdog = Watchdog::new("an_operation_left_behind_completes_when_its_thread_exits");
    for workers in [1, 2] {
        let runtime = runtime(workers, RingProfile::Defer);
        let read = thread::scope(|scope| {
            let began = scope.spawn(|| begin(&runtime));
            began.join().expect("no panic")
        });
        works(&runtime);
        is_all(runtime.block_on(read));
        assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    }
}

#[test]
fn an_operation_left_behind_under_coop_completes_for_another_thread() {
    let _alone = alone();
    let _watchdog =
        Watchdog::new("an_operation_left_behind_under_coop_completes_for_another_thread");
    let runtime = runtime(1, RingProfile::Coop);
    let read = begin(&runtime);
    // Waits in a system call, which this thread's ring needs.
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            works(&runtime);
            is_all(runtime.block_on(read));
        });
        reading.join().expect("no panic");
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
}

#[test]
fn a_shutdown_waits_for_an_operation_left_behind() {
    let _alone = alone();
    let _watchdog = Watchdog::new("a_shutdown_waits_for_an_operation_left_behind");
    let runtime = runtime(2, RingProfile::Defer);
    drop(begin(&runtime));
    let report = runtime.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{report:?}");
}
