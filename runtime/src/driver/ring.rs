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
//! # Where there is no io_uring
//!
//! An emulated ring has its queues in ordinary memory, and [`Emulation`] takes the kernel's place behind them.
//! Only what would be a system call on the ring looks which of the two it is; there, a sibling may enter too, and a
//! signal handler may not.
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

use crate::driver::poll::{Cqe, Emulation, Sqe};
use crate::driver::sys::{self, BufferEntry};

const _: () = assert!(size_of::<squeue::Entry>() == 64);
const _: () = assert!(size_of::<cqueue::Entry>() == 16);

/// The index of a ring whose descriptor is not registered.
const UNREGISTERED: RawFd = -1;

/// In the SQ flags of an emulated ring, where no bit of the kernel's is: whether there are completions is known
/// only after an enter.
const SQ_LOOKS_ON_ENTER: u32 = 1 << 31;

/// What `io_uring_setup` is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingConfig {
    /// Submission queue entries; the kernel rounds up to a power of two.
    pub(crate) sq_entries: u32,
    /// Completion queue entries.
    pub(crate) cq_entries: u32,
    /// `IORING_SETUP_*` flags beyond those every ring has.
    pub(crate) flags: u32,
    /// Whether it is to do without io_uring.
    pub(crate) emulated: bool,
}

/// A mapping, unmapped on drop: shared with the kernel, or memory of an emulated ring.
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
        Self::mapped(address, length)
    }

    /// Zeroed memory that is nobody else's.
    fn anonymous(length: usize) -> io::Result<Self> {
        // SAFETY: a fresh private mapping chosen by the kernel overlaps no Rust object.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        Self::mapped(address, length)
    }

    fn mapped(address: *mut libc::c_void, length: usize) -> io::Result<Self> {
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, length };
        mapping.keep_from_children()?;
        Ok(mapping)
    }

    /// A child of `fork(2)` that went on where its parent was would take the parent's completions from it. So it does not get
    /// the mapping, and ends with SIGSEGV where it touches it.
    fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: the advice is about a mapping of ours, and changes nothing in this process.
        let done =
            unsafe { libc::madvise(self.base.as_ptr().cast(), self.length, libc::MADV_DONTFORK) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
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

/// What is behind the queues.
#[derive(Debug)]
enum Behind {
    /// The kernel, by the ring's descriptor.
    Kernel(OwnedFd),
    Emulation(Box<Emulation>),
}

/// One io_uring instance, or what takes its place.
///
/// Dropping it is asynchronous in the kernel: the driver drops a ring only when no operation is in
/// flight on it.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Index of the registered descriptor that `enter` uses on the owning thread, or [`UNREGISTERED`].
    registered: AtomicI32,
    setup_flags: u32,
    /// `IORING_ENTER_*` flags of every enter of the owner's.
    enter_flags: u32,
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
    behind: Behind,
}

/// The flag of an enter that sleeps as one who is idle, where the kernel has it. A worker always has operations in
/// flight, its bell at least, and without this a processor that has nothing to do counts as waiting for I/O.
fn idle_flag(features: u32) -> u32 {
    if features & sys::FEAT_NO_IOWAIT == 0 {
        0
    } else {
        sys::ENTER_NO_IOWAIT
    }
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
    /// Whatever `io_uring_setup(2)` and `mmap(2)` report; of an emulated ring, `epoll_create1(2)`, `eventfd(2)`
    /// and `mmap(2)`.
    pub(crate) fn new(config: RingConfig) -> io::Result<Self> {
        if config.emulated {
            return Self::emulated(config);
        }
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
            enter_flags: sys::ENTER_GETEVENTS | idle_flag(params.features),
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
            behind: Behind::Kernel(fd),
        })
    }

    /// A ring in ordinary memory.
    fn emulated(config: RingConfig) -> io::Result<Self> {
        /// Words that different sides write lie in different cache lines.
        const LINE: u32 = 64;
        const MOST: u32 = 1 << 15;
        let sq_entries = config.sq_entries.clamp(1, MOST).next_power_of_two();
        let cq_entries = config.cq_entries.clamp(sq_entries, 2 * MOST);
        let cq_entries = cq_entries.next_power_of_two();
        let cq_offset = 5 * LINE;
        let cq_bytes = cq_entries as usize * size_of::<cqueue::Entry>();
        let rings = Mapping::anonymous(cq_offset as usize + cq_bytes)?;
        let entry_bytes = sq_entries as usize * size_of::<squeue::Entry>();
        let entries = Mapping::anonymous(entry_bytes)?;
        let ring = Self {
            registered: AtomicI32::new(UNREGISTERED),
            setup_flags: 0,
            enter_flags: 0,
            sq_head: rings.at(0),
            sq_tail: rings.at(LINE),
            sq_flags: rings.at(2 * LINE),
            sq_mask: sq_entries - 1,
            sq_entries,
            sqes: entries.at(0),
            cq_head: rings.at(3 * LINE),
            cq_tail: rings.at(4 * LINE),
            cq_mask: cq_entries - 1,
            cqes: rings.at(cq_offset),
            _rings: rings,
            _entries: entries,
            owner: std::thread::current().id(),
            behind: Behind::Emulation(Box::new(Emulation::new()?)),
        };
        ring.publish_state(0);
        Ok(ring)
    }

    /// Whether it does without io_uring.
    pub(crate) fn is_emulated(&self) -> bool {
        matches!(self.behind, Behind::Emulation(_))
    }

    /// Owner: registers the ring's descriptor with the calling thread, unless it is already. That saves
    /// the lookup in every enter; without it things still work.
    pub(crate) fn register_descriptor(&self) {
        if self.registered.load(Ordering::Relaxed) == UNREGISTERED
            && !self.is_emulated()
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

    /// The ring's own descriptor, for registrations and for other threads; of an emulated ring its epoll instance's.
    pub(crate) fn fd(&self) -> RawFd {
        match &self.behind {
            Behind::Kernel(fd) => fd.as_raw_fd(),
            Behind::Emulation(emulation) => emulation.fd(),
        }
    }

    /// Caps the threads that run blocking operations: for files, and for others. 0 leaves it as it is.
    pub(crate) fn limit_threads(&self, limits: [u32; 2]) -> io::Result<()> {
        match &self.behind {
            Behind::Kernel(_) if limits == [0, 0] => Ok(()),
            Behind::Kernel(_) => sys::register_iowq_max_workers(self.fd(), limits),
            Behind::Emulation(emulation) => {
                if limits[0] > 0 {
                    emulation.limit_threads(limits[0]);
                }
                Ok(())
            }
        }
    }

    /// Gives the ring the buffer entries at `entries` as provided buffer group `group`.
    ///
    /// # Safety
    ///
    /// The entries, and the buffers that are published there, stay until
    /// [`unregister_buffers`](Self::unregister_buffers), or until the ring has no operation in flight and is gone.
    pub(crate) unsafe fn register_buffers(
        &self,
        entries: NonNull<BufferEntry>,
        count: u32,
        group: u16,
    ) -> io::Result<()> {
        match &self.behind {
            // SAFETY: as the caller vouches.
            Behind::Kernel(_) => unsafe {
                sys::register_buffer_ring(self.fd(), entries.as_ptr(), count, group)
            },
            Behind::Emulation(emulation) => {
                // SAFETY: as the caller vouches.
                unsafe { emulation.register_buffers(entries, count, group) };
                Ok(())
            }
        }
    }

    /// Takes a provided buffer group away again.
    pub(crate) fn unregister_buffers(&self, group: u16) {
        match &self.behind {
            // A failure leaves the group registered on a ring that is about to be closed.
            Behind::Kernel(_) => drop(sys::unregister_buffer_ring(self.fd(), group)),
            Behind::Emulation(emulation) => emulation.unregister_buffers(),
        }
    }

    /// Has `event` written to when an operation completes that is in flight now. A failure is harmless to those who
    /// look from time to time as well.
    pub(crate) fn set_bell(&self, event: RawFd) {
        match &self.behind {
            Behind::Kernel(_) => drop(sys::register_eventfd(self.fd(), event)),
            Behind::Emulation(emulation) => emulation.set_bell(event),
        }
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
    /// completions that did not fit into the CQ; or whether it may, of an emulated ring.
    #[inline]
    pub(crate) fn wants_enter(&self) -> bool {
        let flags = Self::word(&self.sq_flags).load(Ordering::Relaxed);
        flags & (sys::SQ_TASKRUN | sys::SQ_CQ_OVERFLOW | SQ_LOOKS_ON_ENTER) != 0
    }

    /// As [`wants_enter`](Self::wants_enter), where somebody has said so.
    #[cfg(test)]
    pub(crate) fn must_be_entered(&self) -> bool {
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
        match self.registered.load(Ordering::Relaxed) {
            UNREGISTERED => self.enter_unregistered(want, timeout),
            index => {
                let flags = self.enter_flags | sys::ENTER_REGISTERED_RING;
                sys::enter(index, self.unsubmitted(), want, flags, timeout)
            }
        }
    }

    fn enter_unregistered(&self, want: u32, timeout: Option<Duration>) -> io::Result<u32> {
        match &self.behind {
            Behind::Kernel(fd) => {
                let fd = fd.as_raw_fd();
                sys::enter(fd, self.unsubmitted(), want, self.enter_flags, timeout)
            }
            Behind::Emulation(emulation) => emulation.enter(self, want, timeout),
        }
    }

    /// Enters through the plain descriptor, which any thread can name: submits what the owner has
    /// published and runs the caller's task work.
    ///
    /// On a `SINGLE_ISSUER` ring it succeeds only on the owning thread, on an emulated one when nobody is inside.
    pub(crate) fn enter_foreign(&self) -> io::Result<u32> {
        match &self.behind {
            Behind::Kernel(_) => self.enter_in_signal(),
            Behind::Emulation(emulation) => emulation.try_enter(self),
        }
    }

    /// As [`enter_foreign`](Self::enter_foreign), for a signal handler: async-signal-safe. Does nothing to an
    /// emulated ring.
    pub(crate) fn enter_in_signal(&self) -> io::Result<u32> {
        match &self.behind {
            Behind::Kernel(fd) => {
                let fd = fd.as_raw_fd();
                sys::enter(fd, self.unsubmitted(), 0, sys::ENTER_GETEVENTS, None)
            }
            Behind::Emulation(_) => Ok(0),
        }
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

/// The kernel's side of the queues, for the emulation.
impl Ring {
    /// Takes the oldest entry that was published; there is one.
    ///
    /// # Safety
    ///
    /// Nobody else takes entries meanwhile.
    pub(in crate::driver) unsafe fn take_submission(&self) -> Sqe {
        let head = Self::word(&self.sq_head).load(Ordering::Relaxed);
        debug_assert!(self.unsubmitted() > 0);
        // SAFETY: the masked index is inside the array of `sq_entries` entries.
        let cell = unsafe { self.sqes.add((head & self.sq_mask) as usize) };
        // SAFETY: published, the entry is left alone until the head passes it; both types are the kernel's
        // `io_uring_sqe`, of which any bytes are a value.
        let entry = unsafe { cell.cast::<Sqe>().read() };
        // Release: the owner writes the next entry here only after this one was read.
        Self::word(&self.sq_head).store(head.wrapping_add(1), Ordering::Release);
        entry
    }

    /// Whether the completion queue has a free place.
    pub(in crate::driver) fn has_room(&self) -> bool {
        self.ready() <= self.cq_mask
    }

    /// Publishes a completion, if there is a place for it.
    ///
    /// # Safety
    ///
    /// Nobody else posts completions meanwhile.
    pub(in crate::driver) unsafe fn post(&self, completion: Cqe) -> bool {
        let tail = Self::word(&self.cq_tail).load(Ordering::Relaxed);
        // Acquire: what was here has been read.
        let head = Self::word(&self.cq_head).load(Ordering::Acquire);
        if tail.wrapping_sub(head) > self.cq_mask {
            return false;
        }
        // SAFETY: the masked index is inside the completion array.
        let cell = unsafe { self.cqes.add((tail & self.cq_mask) as usize) };
        // SAFETY: the reader has passed this place, and reads it again only after the tail below; both types are
        // the kernel's `io_uring_cqe`.
        unsafe { cell.cast::<Cqe>().write(completion) };
        Self::word(&self.cq_tail).store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Publishes the SQ flags of an emulated ring.
    pub(crate) fn publish_state(&self, flags: u32) {
        Self::word(&self.sq_flags).store(flags | SQ_LOOKS_ON_ENTER, Ordering::Relaxed);
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
