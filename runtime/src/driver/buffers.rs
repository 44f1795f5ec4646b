//! Receive buffers that the kernel picks from: one provided buffer ring per worker.
//!
//! All buffers lie in one reserved mapping whose pages appear when first written. A few buffers
//! circulate (a small ring stays in the cache); when the kernel runs out, their number doubles up to a
//! limit, and when the peak of the last period needed far fewer, buffers that come back are retired
//! and their pages given to the kernel. See `io_uring_register_buf_ring(3)`.
//!
//! The owner adds buffers to the ring. A buffer dropped on another thread goes onto a stack, which the
//! owner takes whole.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use crate::context;
use crate::driver::remote::Remote;
use crate::driver::ring::Ring;
use crate::driver::sys::BufferEntry;
use crate::ops::IoBuf;

/// The only buffer group a ring has.
pub(crate) const GROUP: u16 = 0;

const NONE: u32 = u32::MAX;

/// How many receive buffers a worker has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferConfig {
    /// Bytes of one buffer.
    pub(crate) size: usize,
    /// Buffers that circulate at first, and that are kept.
    pub(crate) initial: u32,
    /// Most buffers that may circulate; a power of two.
    pub(crate) limit: u32,
}

/// An anonymous private mapping.
#[derive(Debug)]
struct Pages {
    base: NonNull<u8>,
    length: usize,
}

impl Pages {
    fn reserve(length: usize) -> io::Result<Self> {
        // SAFETY: a fresh private mapping chosen by the kernel overlaps no Rust object.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, length })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; `BufferPool` documents why nobody uses it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// The half of a worker's buffers that any thread may use.
///
/// It is dropped with the worker's [`Remote`], which every [`Buf`] and every operation in flight keep
/// alive: then neither the kernel nor a reader refers to the memory.
#[derive(Debug)]
pub(crate) struct BufferPool {
    config: BufferConfig,
    entries: Pages,
    memory: Pages,
    /// Stack of buffers given back by other threads, linked through `next`.
    returned: AtomicU32,
    next: Box<[AtomicU32]>,
    /// Buffers the kernel has filled since the start; written under the CQ lock.
    taken: AtomicU32,
    /// Buffers that are back with the owner since the start.
    given_back: AtomicU32,
    /// The kernel found no buffer; the owner has not reacted yet.
    starved: AtomicBool,
    /// As many buffers circulate as are allowed.
    exhausted: AtomicBool,
}

// SAFETY: the mappings are plain memory; the owner alone writes `entries`, and each buffer belongs to
// whoever holds its id.
unsafe impl Send for BufferPool {}
// SAFETY: as above.
unsafe impl Sync for BufferPool {}

impl BufferPool {
    pub(crate) fn new(config: BufferConfig) -> io::Result<Self> {
        let limit = config.limit as usize;
        Ok(Self {
            config,
            entries: Pages::reserve(limit * size_of::<BufferEntry>())?,
            memory: Pages::reserve(limit * config.size)?,
            returned: AtomicU32::new(NONE),
            next: (0..limit).map(|_| AtomicU32::new(NONE)).collect(),
            taken: AtomicU32::new(0),
            given_back: AtomicU32::new(0),
            starved: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
        })
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        assert!(
            u32::from(id) < self.config.limit,
            "the kernel named a buffer that does not exist"
        );
        // SAFETY: the assertion keeps the result inside the mapping.
        unsafe { self.memory.base.add(id as usize * self.config.size) }
    }

    fn entry(&self, index: u32) -> NonNull<BufferEntry> {
        debug_assert!(index < self.config.limit);
        // SAFETY: callers mask the index to the number of entries.
        unsafe { self.entries.base.cast::<BufferEntry>().add(index as usize) }
    }

    fn tail(&self) -> &AtomicU16 {
        // SAFETY: entry 0 is mapped for as long as `self`, and its tail is only accessed atomically.
        unsafe { &(*self.entry(0).as_ptr()).tail }
    }

    /// Reaper: the kernel filled a buffer.
    pub(crate) fn note_taken(&self) {
        let taken = self.taken.load(Ordering::Relaxed);
        self.taken.store(taken.wrapping_add(1), Ordering::Relaxed);
    }

    /// Reaper: the kernel found no buffer.
    pub(crate) fn note_starved(&self) {
        self.starved.store(true, Ordering::Release);
    }

    /// Most buffers that may circulate.
    pub(crate) fn limit(&self) -> u32 {
        self.config.limit
    }

    /// Whether no more buffers may be added, so that waiting for one may take long.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Acquire)
    }

    /// Buffers outside the kernel's hands.
    pub(crate) fn outstanding(&self) -> u32 {
        let given_back = self.given_back.load(Ordering::Acquire);
        self.taken.load(Ordering::Relaxed).wrapping_sub(given_back)
    }

    /// Whether other threads have given buffers back.
    #[inline]
    pub(crate) fn has_returned(&self) -> bool {
        self.returned.load(Ordering::Relaxed) != NONE
    }

    /// What the kernel has put into a buffer, for tests of rings.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn copy_for_tests(&self, id: u16, length: usize) -> Vec<u8> {
        assert!(length <= self.config.size);
        // SAFETY: the kernel filled so many bytes and has told so.
        unsafe { std::slice::from_raw_parts(self.buffer(id).as_ptr(), length) }.to_vec()
    }

    fn push_returned(&self, id: u16) {
        let mut top = self.returned.load(Ordering::Relaxed);
        loop {
            self.next[id as usize].store(top, Ordering::Relaxed);
            // Release: the reader is done with the memory before the owner hands it to the kernel.
            match self.returned.compare_exchange_weak(
                top,
                u32::from(id),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }
}

/// The owner's half: what circulates.
#[derive(Debug)]
pub(crate) struct BufferRing {
    tail: Cell<u16>,
    /// Buffers that circulate: in the kernel's hands or in a reader's.
    circulating: Cell<u32>,
    /// How many may circulate now.
    target: Cell<u32>,
    /// Most buffers seen outside the kernel's hands in this period.
    peak: Cell<u32>,
    retired: RefCell<Vec<u16>>,
    registered: Cell<bool>,
}

impl BufferRing {
    pub(crate) fn new(pool: &BufferPool) -> Self {
        let retired = (0..pool.config.limit).rev().map(|id| id as u16).collect();
        Self {
            tail: Cell::new(0),
            circulating: Cell::new(0),
            target: Cell::new(pool.config.initial.min(pool.config.limit)),
            peak: Cell::new(0),
            retired: RefCell::new(retired),
            registered: Cell::new(false),
        }
    }

    /// Gives the buffers to a new ring. When the worker had another ring before, it has been drained.
    pub(crate) fn register(&self, pool: &BufferPool, ring: &Ring) -> io::Result<()> {
        // Whatever an earlier ring held unconsumed is handed over anew: start from an empty ring.
        let held = self.unconsumed(pool);
        pool.tail().store(0, Ordering::Relaxed);
        self.tail.set(0);
        // SAFETY: the entries live as long as the pool, which outlives every use of the ring.
        let registered = unsafe { ring.register_buffers(pool.entry(0), pool.config.limit, GROUP) };
        if let Err(error) = registered {
            self.circulating
                .set(self.circulating.get() - held.len() as u32);
            self.retired.borrow_mut().extend(held);
            return Err(error);
        }
        self.registered.set(true);
        for id in held {
            self.add(pool, id);
        }
        self.fill(pool);
        Ok(())
    }

    /// Takes the buffers away from a drained ring.
    pub(crate) fn unregister(&self, ring: &Ring) {
        if self.registered.replace(false) {
            ring.unregister_buffers(GROUP);
        }
    }

    /// Ids in the ring that the kernel has not consumed: the youngest ones that were added.
    fn unconsumed(&self, pool: &BufferPool) -> Vec<u16> {
        let held = self.circulating.get().saturating_sub(pool.outstanding());
        let mask = pool.config.limit - 1;
        (1..=held)
            .rev()
            .map(|back| {
                let index = u32::from(self.tail.get()).wrapping_sub(back) & mask;
                // SAFETY: the entry was written by `add` and nobody writes it meanwhile.
                unsafe { (*pool.entry(index).as_ptr()).id }
            })
            .collect()
    }

    fn add(&self, pool: &BufferPool, id: u16) {
        let tail = self.tail.get();
        let entry = pool
            .entry(u32::from(tail) & (pool.config.limit - 1))
            .as_ptr();
        let address = pool.buffer(id).as_ptr().expose_provenance() as u64;
        // SAFETY: only the owner writes entries, and the kernel reads this one only after the tail
        // below is published. The tail field of entry 0 is not written here.
        unsafe { (*entry).address = address };
        // SAFETY: as above.
        unsafe { (*entry).length = pool.config.size as u32 };
        // SAFETY: as above.
        unsafe { (*entry).id = id };
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        pool.tail().store(tail, Ordering::Release);
    }

    fn fill(&self, pool: &BufferPool) {
        let mut retired = self.retired.borrow_mut();
        while self.circulating.get() < self.target.get() {
            let Some(id) = retired.pop() else { break };
            self.circulating.set(self.circulating.get() + 1);
            self.add(pool, id);
        }
        let exhausted = self.circulating.get() >= pool.config.limit;
        pool.exhausted.store(exhausted, Ordering::Release);
    }

    fn take_back(&self, pool: &BufferPool, id: u16) {
        // Counted here and not where the reader lets go: until now the buffer was outside the ring, and
        // `unconsumed` must not take it for one that the kernel holds.
        pool.given_back.fetch_add(1, Ordering::Release);
        if self.registered.get() && self.circulating.get() <= self.target.get() {
            self.add(pool, id);
        } else {
            self.retire(pool, id);
        }
    }

    /// As a reader that lets go of a buffer, for tests of rings.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn give_back_for_tests(&self, pool: &BufferPool, id: u16) {
        self.take_back(pool, id);
    }

    #[cold]
    fn retire(&self, pool: &BufferPool, id: u16) {
        self.circulating.set(self.circulating.get() - 1);
        self.retired.borrow_mut().push(id);
        pool.exhausted.store(false, Ordering::Release);
        let address = pool.buffer(id).as_ptr().cast();
        // SAFETY: the buffer belongs to nobody; dropping its pages is only a loss of content. A size
        // that is not a multiple of the page makes the call fail, which costs nothing but memory.
        unsafe { libc::madvise(address, pool.config.size, libc::MADV_DONTNEED) };
    }

    /// Collects what other threads gave back and reacts to starvation. Returns whether the kernel had
    /// run out of buffers.
    pub(crate) fn maintain(&self, pool: &BufferPool) -> bool {
        if pool.has_returned() {
            let mut id = pool.returned.swap(NONE, Ordering::Acquire);
            while id != NONE {
                let next = pool.next[id as usize].load(Ordering::Relaxed);
                self.take_back(pool, id as u16);
                id = next;
            }
        }
        self.peak.set(self.peak.get().max(pool.outstanding()));
        let starved =
            pool.starved.load(Ordering::Relaxed) && pool.starved.swap(false, Ordering::Acquire);
        if starved {
            self.target
                .set((self.target.get() * 2).min(pool.config.limit));
            self.fill(pool);
        }
        starved
    }

    /// How many buffers may circulate now.
    pub(crate) fn target(&self) -> u32 {
        self.target.get()
    }

    /// Ends a period: shrinks by half when the peak needed less than a quarter.
    pub(crate) fn end_period(&self, pool: &BufferPool) {
        let peak = self.peak.replace(pool.outstanding());
        let target = self.target.get();
        if target > pool.config.initial && peak < target / 4 {
            self.target.set((target / 2).max(pool.config.initial));
        }
    }
}

/// A receive buffer that belongs to the runtime, lent to its reader.
///
/// Dereferences to the bytes received. Dropping it returns the memory to the worker that owns it, so
/// holding many of them for long makes the runtime add more (up to the limit set on the
/// [`Builder`](crate::Builder), after which receives fall back to ordinary memory).
pub struct Buf {
    memory: Memory,
}

/// Where the bytes are, and which of them are in view. A future that reads has a place for one, so it is kept small.
enum Memory {
    Provided {
        owner: Arc<Remote>,
        start: u32,
        end: u32,
        id: u16,
    },
    /// The end of the view is that of the vector.
    Heap { bytes: Vec<u8>, start: usize },
}

impl Buf {
    /// The buffer that a completion names.
    pub(crate) fn provided(owner: Arc<Remote>, id: u16, length: u32) -> Self {
        assert!(
            length as usize <= owner.buffers().config.size,
            "a receive beyond its buffer"
        );
        Self {
            memory: Memory::Provided {
                owner,
                start: 0,
                end: length,
                id,
            },
        }
    }

    /// Drops the first `count` bytes from view.
    ///
    /// # Panics
    ///
    /// When there are fewer than `count` bytes.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "cannot advance a buffer past its end");
        match &mut self.memory {
            // As many as there are, which fit.
            Memory::Provided { start, .. } => *start += count as u32,
            Memory::Heap { start, .. } => *start += count,
        }
    }

    /// Shortens the view to its first `length` bytes; does nothing when it is shorter already.
    pub fn truncate(&mut self, length: usize) {
        if length >= self.len() {
            return;
        }
        match &mut self.memory {
            // Less than there are, which fit.
            Memory::Provided { start, end, .. } => *end = *start + length as u32,
            Memory::Heap { bytes, start } => bytes.truncate(*start + length),
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Provided {
                owner,
                start,
                end,
                id,
            } => {
                let base = owner.buffers().buffer(*id);
                // SAFETY: the kernel initialised the first `end` bytes of this buffer, and until it
                // is given back in `drop` nobody writes it.
                let bytes = unsafe { std::slice::from_raw_parts(base.as_ptr(), *end as usize) };
                &bytes[*start as usize..]
            }
            Memory::Heap { bytes, start } => &bytes[*start..],
        }
    }
}

/// Ordinary memory as a buffer, without a copy: for what is not received from a socket, and for bytes that are
/// put back.
impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            memory: Memory::Heap { bytes, start: 0 },
        }
    }
}

// SAFETY: what is provided lies in the pool of its worker, which `owner` keeps, and a vector's heap memory does not
// move with the vector. Nobody writes either before it is given back.
unsafe impl IoBuf for Buf {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buf")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        let Memory::Provided { owner, id, .. } = &self.memory else {
            return;
        };
        give_back(owner, *id);
    }
}

/// Returns a buffer to its worker: directly on its own thread, by the stack from elsewhere.
pub(crate) fn give_back(owner: &Arc<Remote>, id: u16) {
    let pool = owner.buffers();
    let here = context::with_driver(owner, |driver| driver.buffers().take_back(pool, id));
    if here.is_none() {
        pool.push_returned(id);
    }
}
