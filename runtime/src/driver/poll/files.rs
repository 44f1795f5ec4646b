//! Threads for what blocks: files, and whatever else has no readiness.
//!
//! The kernel has such threads too (`io-wq`). These belong to one ring, come when they are needed, and leave when
//! they have had nothing to do for a while. An operation that no thread has begun can be taken back; one that a
//! thread has begun is asked to give up, which few look at.

#![expect(unsafe_code, reason = "making and writing an eventfd")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::operation::Operation;
use crate::blocking::{Job, Pool, PoolConfig, SubmitError};

/// Threads of a ring, unless it was told.
const THREADS: usize = 64;
/// How long a thread waits for more work.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const QUEUED: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;
const GIVEN_UP: u8 = 3;

/// Who may do an operation, or take it back.
#[derive(Debug)]
pub(super) struct Ticket(AtomicU8);

impl Ticket {
    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }

    /// Takes the operation back, if no thread has begun it; one that has is asked to give up.
    pub(super) fn withdraw(&self) -> bool {
        if self.change(QUEUED, WITHDRAWN) {
            return true;
        }
        self.change(BEGUN, GIVEN_UP);
        false
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Acquire) == state
    }
}

/// The end of an operation.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) operation: Operation,
    pub(super) result: i32,
}

/// What has ended and was not fetched yet.
#[derive(Debug)]
struct Finished {
    list: Mutex<Vec<Ended>>,
    /// Whether the list has something that the event has told.
    told: AtomicBool,
    event: OwnedFd,
    /// Another eventfd to write to each time, or -1.
    bell: AtomicI32,
}

impl Finished {
    fn push(&self, ended: Ended) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(ended);
        drop(list);
        if !self.told.swap(true, Ordering::AcqRel) {
            write_one(self.event.as_raw_fd());
        }
        let bell = self.bell.load(Ordering::Acquire);
        if bell >= 0 {
            write_one(bell);
        }
    }
}

fn write_one(event: RawFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight readable bytes, as eventfd wants them. It fails only when it is full, which is told already.
    unsafe { libc::write(event, one.as_ptr().cast(), one.len()) };
}

/// An operation on its way to a thread.
#[derive(Debug)]
pub(super) struct FileJob {
    operation: Operation,
    ticket: Arc<Ticket>,
    finished: Arc<Finished>,
}

impl Job for FileJob {
    fn run(mut self) {
        if !self.ticket.change(QUEUED, BEGUN) {
            return;
        }
        let result = self.operation.block(|| self.ticket.is(GIVEN_UP));
        self.finished.push(Ended {
            operation: self.operation,
            result,
        });
    }

    fn is_withdrawn(&self) -> bool {
        self.ticket.is(WITHDRAWN)
    }
}

/// The threads of one ring.
#[derive(Debug)]
pub(super) struct Files {
    /// Made when first needed.
    pool: OnceLock<Pool<FileJob>>,
    threads: AtomicUsize,
    finished: Arc<Finished>,
}

impl Files {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this descriptor to us alone.
        let event = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self {
            pool: OnceLock::new(),
            threads: AtomicUsize::new(THREADS),
            finished: Arc::new(Finished {
                list: Mutex::new(Vec::new()),
                told: AtomicBool::new(false),
                event,
                bell: AtomicI32::new(-1),
            }),
        })
    }

    /// What is written to when operations have ended.
    pub(super) fn event_fd(&self) -> RawFd {
        self.finished.event.as_raw_fd()
    }

    /// Limits the threads; later than the first operation this changes nothing.
    pub(super) fn limit_threads(&self, threads: u32) {
        self.threads.store(threads as usize, Ordering::Relaxed);
    }

    /// Has `event` written to whenever an operation has ended. It stays open for as long as this is used.
    pub(super) fn set_bell(&self, event: RawFd) {
        self.finished.bell.store(event, Ordering::Release);
    }

    /// What a thread needs to do `operation`, and how to take that back.
    pub(super) fn job(&self, operation: Operation) -> (FileJob, Arc<Ticket>) {
        let ticket = Arc::new(Ticket(AtomicU8::new(QUEUED)));
        let job = FileJob {
            operation,
            ticket: ticket.clone(),
            finished: self.finished.clone(),
        };
        (job, ticket)
    }

    /// Gives operations to threads. Not for the inside of the emulation: the pool tells subscribers of what goes
    /// wrong, who may use the ring.
    pub(super) fn start(&self, jobs: Vec<FileJob>) {
        for job in jobs {
            let pool = self.pool.get_or_init(|| self.new_pool());
            if let Err(SubmitError::NoThread(job, _) | SubmitError::ShutDown(job)) =
                pool.submit(job)
                && job.ticket.change(QUEUED, BEGUN)
            {
                self.finished.push(Ended {
                    operation: job.operation,
                    result: -libc::EAGAIN,
                });
            }
        }
    }

    fn new_pool(&self) -> Pool<FileJob> {
        Pool::new(PoolConfig {
            max_threads: self.threads.load(Ordering::Relaxed),
            keep_alive: KEEP_ALIVE,
            thread_name: Arc::new(|| "heist-files".to_owned()),
            on_thread_start: None,
            on_thread_stop: None,
        })
    }

    /// Moves what has ended into `ended`.
    pub(super) fn fetch(&self, ended: &mut Vec<Ended>) {
        let told = &self.finished.told;
        // The flag is cleared before the look: what ends later is told again.
        if told.load(Ordering::Relaxed) && told.swap(false, Ordering::AcqRel) {
            let list = self.finished.list.lock();
            ended.append(&mut list.unwrap_or_else(PoisonError::into_inner));
        }
    }
}
