//! One io_uring instance: the only contact with the kernel's ring interface.
//!
//! The SQE and CQE types and the opcodes are the `io-uring` crate's. The mapping is our own, because
//! three things the runtime lives on need it: a sibling reads the SQ flags and tail of a ring it does
//! not own, a sibling drains a CQ under a lock, and every enter goes through the registered ring
//! descriptor.
//!
//! # Who may touch what
//!
//! | part | the owning thread | a sibling, holding the CQ lock | a signal handler on the owning thread |
//! |---|---|---|---|
//! | SQEs, SQ tail (write) | yes | no | no |
//! | SQ head, tail, flags (read) | yes | yes | yes |
//! | CQ head (write), CQEs (read) | only with the CQ lock | yes | no |
//! | `io_uring_enter` | yes | only on a COOP ring | yes |
//!
//! See `io_uring(7)`, `io_uring_setup(2)` and `io_uring_enter(2)`.

#![expect(unsafe_code, reason = "shared memory with the kernel")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use io_uring::{cqueue, squeue};

use crate::driver::sys;

const _: () = assert!(size_of::<squeue::Entry>() == 64);
const _: () = assert!(size_of::<cqueue::Entry>() == 16);

/// The index of a ring whose descriptor is not registered.
const UNREGISTERED: RawFd = -1;

/// What `io_uring_setup` is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingConfig {
    /// Submission queue entries; the kernel rounds up to a power of two.
    pub(crate) sq_entries: u32,
    /// Completion queue entries.
    pub(crate) cq_entries: u32,
    /// `IORING_SETUP_*` flags beyond those every ring has.
    pub(crate) flags: u32,
}

/// A shared mapping of the kernel's, unmapped on drop.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(fd: RawFd, length: usize, offset: i64) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping chosen by the kernel overlaps no Rust object.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                fd,
                offset,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, length })
    }

    /// The `T` at `offset` bytes into the mapping.
    fn at<T>(&self, offset: u32) -> NonNull<T> {
        assert!(
            offset as usize + size_of::<T>() <= self.length,
            "offset outside the ring mapping"
        );
        // SAFETY: the assertion keeps the pointer inside the mapping.
        unsafe { self.base.add(offset as usize) }.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `length` are those of a live mapping that nothing else unmaps.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// One io_uring instance.
///
/// Dropping it is asynchronous in the kernel: the driver drops a ring only when no operation is in
/// flight on it.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Index of the registered descriptor that `enter` uses on the owning thread, or [`UNREGISTERED`].
    registered: AtomicI32,
    setup_flags: u32,
    sq_head: NonNull<AtomicU32>,
    sq_tail: NonNull<AtomicU32>,
    sq_flags: NonNull<AtomicU32>,
    sq_mask: u32,
    sq_entries: u32,
    sqes: NonNull<squeue::Entry>,
    cq_head: NonNull<AtomicU32>,
    cq_tail: NonNull<AtomicU32>,
    cq_mask: u32,
    cqes: NonNull<cqueue::Entry>,
    _rings: Mapping,
    _entries: Mapping,
    owner: ThreadId,
    fd: OwnedFd,
}

// SAFETY: the pointers lead into mappings that live as long as the ring, and the table above says
// which of them a thread other than the owner may use.
unsafe impl Send for Ring {}
// SAFETY: as for `Send`; methods reserved for the owner or the lock holder are `unsafe`.
unsafe impl Sync for Ring {}

impl Ring {
    /// Creates a ring owned by the calling thread.
    ///
    /// # Errors
    ///
    /// Whatever `io_uring_setup(2)` and `mmap(2)` report.
    pub(crate) fn new(config: RingConfig) -> io::Result<Self> {
        let mut params = sys::Params::default();
        params.flags = config.flags | sys::SETUP_CQSIZE | sys::SETUP_CLAMP | sys::SETUP_SUBMIT_ALL;
        params.cq_entries = config.cq_entries;
        let raw = sys::setup(config.sq_entries, &mut params)?;
        // SAFETY: the kernel just returned this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };

        let cq_bytes =
            params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<cqueue::Entry>();
        let sq_bytes = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        // FEAT_SINGLE_MMAP (5.4) lets one mapping hold both queues.
        let rings = Mapping::new(raw, cq_bytes.max(sq_bytes), sys::OFF_SQ_RING)?;
        let entry_bytes = params.sq_entries as usize * size_of::<squeue::Entry>();
        let entries = Mapping::new(raw, entry_bytes, sys::OFF_SQES)?;

        let mask: NonNull<u32> = rings.at(params.sq_off.ring_mask);
        // SAFETY: the kernel wrote the mask before `setup` returned and never changes it.
        let sq_mask = unsafe { mask.read() };
        let mask: NonNull<u32> = rings.at(params.cq_off.ring_mask);
        // SAFETY: as above.
        let cq_mask = unsafe { mask.read() };
        if params.flags & sys::SETUP_NO_SQARRAY == 0 {
            for index in 0..params.sq_entries {
                let cell: NonNull<u32> = rings.at(params.sq_off.array + 4 * index);
                // SAFETY: the array lies inside the mapping and the kernel reads it only in `enter`.
                unsafe { cell.write(index) };
            }
        }
        Ok(Self {
            registered: AtomicI32::new(UNREGISTERED),
            setup_flags: params.flags,
            sq_head: rings.at(params.sq_off.head),
            sq_tail: rings.at(params.sq_off.tail),
            sq_flags: rings.at(params.sq_off.flags),
            sq_mask,
            sq_entries: params.sq_entries,
            sqes: entries.at(0),
            cq_head: rings.at(params.cq_off.head),
            cq_tail: rings.at(params.cq_off.tail),
            cq_mask,
            cqes: rings.at(params.cq_off.cqes),
            _rings: rings,
            _entries: entries,
            owner: std::thread::current().id(),
            fd,
        })
    }

    /// Owner: registers the ring's descriptor with the calling thread, unless it is already. That saves
    /// the lookup in every enter; without it things still work.
    pub(crate) fn register_descriptor(&self) {
        if self.registered.load(Ordering::Relaxed) == UNREGISTERED
            && let Ok(index) = sys::register_ring_fd(self.fd())
        {
            self.registered.store(index, Ordering::Relaxed);
        }
    }

    /// Owner: undoes [`register_descriptor`](Self::register_descriptor). A registered descriptor takes one
    /// of the thread's 16 places, and keeps the ring alive in the kernel until the thread exits.
    pub(crate) fn unregister_descriptor(&self) {
        let index = self.registered.swap(UNREGISTERED, Ordering::Relaxed);
        if index != UNREGISTERED {
            drop(sys::unregister_ring_fd(self.fd(), index));
        }
    }

    /// Whether the calling thread is the one that the ring was created on.
    pub(crate) fn is_of_this_thread(&self) -> bool {
        self.owner == std::thread::current().id()
    }

    /// The ring's own descriptor, for registrations and for other threads.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether completions are posted only when the owner enters (`DEFER_TASKRUN`).
    pub(crate) fn is_deferred(&self) -> bool {
        self.setup_flags & sys::SETUP_DEFER_TASKRUN != 0
    }

    /// Whether only the owner may submit (`SINGLE_ISSUER`).
    pub(crate) fn is_single_issuer(&self) -> bool {
        self.setup_flags & sys::SETUP_SINGLE_ISSUER != 0
    }

    #[inline(always)]
    fn word(word: &NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: every such pointer leads into a mapping that `self` keeps alive, and both sides
        // access the word atomically.
        unsafe { word.as_ref() }
    }

    /// Submission entries the kernel has not taken yet.
    #[inline]
    pub(crate) fn unsubmitted(&self) -> u32 {
        let tail = Self::word(&self.sq_tail).load(Ordering::Acquire);
        tail.wrapping_sub(Self::word(&self.sq_head).load(Ordering::Acquire))
    }

    /// Whether the kernel holds task work whose completions appear only after an enter, or
    /// completions that did not fit into the CQ.
    #[inline]
    pub(crate) fn wants_enter(&self) -> bool {
        let flags = Self::word(&self.sq_flags).load(Ordering::Relaxed);
        flags & (sys::SQ_TASKRUN | sys::SQ_CQ_OVERFLOW) != 0
    }

    /// Whether completions overflowed the CQ and wait in the kernel.
    #[inline]
    pub(crate) fn has_overflow(&self) -> bool {
        Self::word(&self.sq_flags).load(Ordering::Relaxed) & sys::SQ_CQ_OVERFLOW != 0
    }

    /// Completions that can be read without entering the kernel.
    #[inline]
    pub(crate) fn ready(&self) -> u32 {
        let tail = Self::word(&self.cq_tail).load(Ordering::Acquire);
        tail.wrapping_sub(Self::word(&self.cq_head).load(Ordering::Relaxed))
    }

    /// Publishes one submission entry, or gives it back when the queue is full.
    ///
    /// The tail is published at once, so that a sibling or a signal handler can have the entry
    /// submitted while this thread runs user code.
    ///
    /// # Safety
    ///
    /// Only the owning thread calls this, and everything `entry` points to stays valid until the
    /// operation's final completion.
    #[inline]
    pub(crate) unsafe fn push(&self, entry: squeue::Entry) -> Result<(), squeue::Entry> {
        let tail = Self::word(&self.sq_tail).load(Ordering::Relaxed);
        let head = Self::word(&self.sq_head).load(Ordering::Acquire);
        if tail.wrapping_sub(head) >= self.sq_entries {
            return Err(entry);
        }
        // SAFETY: the masked index is inside the array of `sq_entries` entries.
        let cell = unsafe { self.sqes.add((tail & self.sq_mask) as usize) };
        // SAFETY: the kernel has consumed what was here (head moved on), and it reads this entry
        // only after the tail below is published.
        unsafe { cell.write(entry) };
        Self::word(&self.sq_tail).store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Submits everything published; with `want > 0` waits for that many completions, at most for
    /// `timeout` when it is given. Returns the number of entries submitted.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)`: `EINTR`, `ETIME` (the timeout passed), `EBUSY`/`EAGAIN` (out of
    /// kernel resources, reap first).
    #[inline]
    pub(crate) fn enter(&self, want: u32, timeout: Option<Duration>) -> io::Result<u32> {
        let submit = self.unsubmitted();
        let (fd, flags) = match self.registered.load(Ordering::Relaxed) {
            UNREGISTERED => (self.fd(), sys::ENTER_GETEVENTS),
            index => (index, sys::ENTER_GETEVENTS | sys::ENTER_REGISTERED_RING),
        };
        sys::enter(fd, submit, want, flags, timeout)
    }

    /// Enters through the plain descriptor, which any thread can name: submits what the owner has
    /// published and runs the caller's task work.
    ///
    /// Async-signal-safe. On a `SINGLE_ISSUER` ring it succeeds only on the owning thread, where a
    /// signal handler calls it.
    pub(crate) fn enter_foreign(&self) -> io::Result<u32> {
        sys::enter(self.fd(), self.unsubmitted(), 0, sys::ENTER_GETEVENTS, None)
    }

    /// Moves visible completions into `batch` and frees their places: up to the batch's spare capacity, or
    /// to the first one that `stays` says is to be left where it is.
    ///
    /// # Safety
    ///
    /// The caller holds the CQ lock of this ring.
    pub(crate) unsafe fn take_completions(
        &self,
        batch: &mut Vec<cqueue::Entry>,
        stays: impl Fn(&cqueue::Entry) -> bool,
    ) {
        let mut head = Self::word(&self.cq_head).load(Ordering::Relaxed);
        let tail = Self::word(&self.cq_tail).load(Ordering::Acquire);
        while head != tail && batch.len() < batch.capacity() {
            // SAFETY: the masked index is inside the completion array.
            let cell = unsafe { self.cqes.add((head & self.cq_mask) as usize) };
            // SAFETY: the kernel published this entry with the tail and leaves it alone until the
            // head passes it; the lock keeps other readers out.
            let entry = unsafe { cell.read() };
            if stays(&entry) {
                break;
            }
            batch.push(entry);
            head = head.wrapping_add(1);
        }
        Self::word(&self.cq_head).store(head, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The index means something only on the thread that registered it.
        if self.is_of_this_thread() {
            self.unregister_descriptor();
        }
    }
}
