//! The slots of one worker: memory that never moves, named by index and generation.
//!
//! Only the owning worker allocates. Any thread frees: the owner onto its own list, others onto a
//! stack that the owner takes whole when its list runs dry (so there is no ABA problem: nobody pops
//! single entries).

#![expect(
    unsafe_code,
    reason = "slots are shared with the kernel and between workers"
)]

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32 as Count;

use crossbeam_utils::CachePadded;

use crate::driver::completion::Completion;
use crate::driver::slot::SlotState;
use crate::primitives::UnsafeCell;
use crate::primitives::atomic::{AtomicU32, Ordering};

/// Bytes of an operation that fit into its slot; larger operations are boxed.
pub(crate) const INLINE_BYTES: usize = 56;

/// Storage for an operation while the kernel may use it.
pub(crate) type Payload = MaybeUninit<[u64; INLINE_BYTES / 8]>;

/// How a completion is delivered to the operation in a slot, whatever its type.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// A completion with more to come (`IORING_CQE_F_MORE`). Returns whether the consumer lags so far
    /// behind that the operation is to be cancelled.
    pub(crate) more: unsafe fn(*const Payload, Completion) -> bool,
    /// The final completion of an operation whose future is gone: consumes the payload.
    pub(crate) orphaned: unsafe fn(*mut Payload, Completion),
    /// The operation has had no future.
    pub(crate) is_background: bool,
}

/// One operation's place.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: SlotState,
    generation: AtomicU32,
    next_free: AtomicU32,
    pub(crate) delivery: UnsafeCell<Option<&'static Delivery>>,
    pub(crate) result: UnsafeCell<Completion>,
    pub(crate) payload: UnsafeCell<Payload>,
}

// SAFETY: `SlotState` says who may touch the cells when.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    fn new() -> Self {
        Self {
            state: SlotState::new(),
            generation: AtomicU32::new(0),
            next_free: AtomicU32::new(NONE),
            delivery: UnsafeCell::new(None),
            result: UnsafeCell::new(Completion::default()),
            payload: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

const NONE: u32 = u32::MAX;
/// Slots in the first bucket; each one after it has twice as many.
const FIRST_BUCKET: u32 = if cfg!(loom) { 2 } else { 64 };
const BUCKETS: usize = 24;
/// Slots made at a time, a page of them: what a large bucket has too many of is never touched.
const MADE_AT_A_TIME: u32 = if cfg!(loom) { 2 } else { 32 };

/// Names a slot and the use it is put to; travels through the kernel as `user_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    /// The eventfd that wakes a parked worker.
    pub(crate) const WAKE: Self = Self(u64::MAX);
    /// A completion nobody waits for (that of a cancel).
    pub(crate) const IGNORE: Self = Self(u64::MAX - 1);

    /// In the token of a request to cancel; no index has this bit.
    const CANCEL: u64 = 1 << 31;

    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The token of the request to cancel what this one names.
    pub(crate) fn to_cancel(self) -> Self {
        if self == Self::WAKE {
            return Self::IGNORE;
        }
        Self(self.0 | Self::CANCEL)
    }

    /// What a request was to cancel, if this is the token of one. Ask for the fixed tokens first.
    pub(crate) fn cancels(self) -> Option<Self> {
        (self.0 & Self::CANCEL != 0).then_some(Self(self.0 & !Self::CANCEL))
    }

    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Room for a slot. No cell of the models, as `Count` is none.
type Place = std::cell::UnsafeCell<MaybeUninit<Slot>>;

/// Room for slots, some of which have been made.
type Bucket = Box<[Place]>;

/// All slots of one worker.
#[derive(Debug)]
pub(crate) struct Slab {
    buckets: [OnceLock<Bucket>; BUCKETS],
    /// How many slots have been made, from the first on; only the owner makes some. No atomic of the models, to which
    /// it would add steps: it is written once for many slots, and only ever says "made".
    made: Count,
    /// Top of the stack of slots freed by other threads. In a cache line of its own: they write it, and `made` is read
    /// for every completion.
    remote_free: CachePadded<AtomicU32>,
}

// SAFETY: the owner writes a slot's cell before `made` counts it, and nobody does afterwards.
unsafe impl Sync for Slab {}

/// The owner's half: which slots it may hand out.
#[derive(Debug, Default)]
pub(crate) struct FreeList {
    free: RefCell<Vec<u32>>,
}

/// The bucket of a slot and its place there.
fn locate(index: u32) -> (usize, usize) {
    let shifted = u64::from(index) + u64::from(FIRST_BUCKET);
    let bucket = shifted.ilog2() - FIRST_BUCKET.ilog2();
    (
        bucket as usize,
        (shifted - (u64::from(FIRST_BUCKET) << bucket)) as usize,
    )
}

impl Slab {
    pub(crate) fn new() -> Self {
        Self {
            buckets: [const { OnceLock::new() }; BUCKETS],
            made: Count::new(0),
            remote_free: CachePadded::new(AtomicU32::new(NONE)),
        }
    }

    /// The slot at `index`, if it has been made.
    #[inline]
    fn get(&self, index: u32) -> Option<&Slot> {
        // Acquire: what has been counted has been written.
        if index >= self.made.load(Ordering::Acquire) {
            return None;
        }
        let (bucket, offset) = locate(index);
        let cell = self.buckets[bucket].get()?.get(offset)?;
        // SAFETY: it has been counted, so it is only shared from then on.
        let slot = unsafe { &*cell.get() };
        // SAFETY: as above: it is written.
        Some(unsafe { slot.assume_init_ref() })
    }

    /// The slot at `index`, which must have been handed out before.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> &Slot {
        self.get(index).expect("an index comes from this slab")
    }

    /// The slot that `token` names, unless it has moved on to another use.
    #[inline]
    pub(crate) fn resolve(&self, token: Token) -> Option<&Slot> {
        let slot = self.get(token.index())?;
        (slot.generation.load(Ordering::Relaxed) == token.generation()).then_some(slot)
    }

    /// Whether what `token` names has not had its final completion.
    pub(crate) fn is_in_flight(&self, token: Token) -> bool {
        let slot = self.resolve(token);
        slot.is_some_and(|slot| !slot.state.is_complete())
    }

    /// Owner: hands out a slot and the token for this use of it.
    pub(crate) fn allocate(&self, list: &FreeList) -> Token {
        let mut free = list.free.borrow_mut();
        if free.is_empty() {
            self.refill(&mut free);
        }
        let index = free.pop().expect("refilled above");
        let slot = self.slot(index);
        let generation = slot.generation.load(Ordering::Relaxed).wrapping_add(1) & 0x7fff_ffff;
        slot.generation.store(generation, Ordering::Relaxed);
        Token::new(index, generation)
    }

    #[cold]
    fn refill(&self, free: &mut Vec<u32>) {
        // Acquire: the freeing thread is done with the slot before the owner reuses it.
        let mut index = self.remote_free.swap(NONE, Ordering::Acquire);
        while index != NONE {
            free.push(index);
            index = self.slot(index).next_free.load(Ordering::Relaxed);
        }
        if !free.is_empty() {
            return;
        }
        let first = self.made.load(Ordering::Relaxed);
        let (bucket, offset) = locate(first);
        assert!(bucket < BUCKETS, "over 500 million operations in flight");
        let size = FIRST_BUCKET << bucket;
        let cells = self.buckets[bucket].get_or_init(|| uninit_cells(size as usize));
        let count = MADE_AT_A_TIME.min(size - offset as u32);
        for cell in &cells[offset..][..count as usize] {
            // SAFETY: it has not been counted, and only the owner, which this is, touches such cells.
            unsafe { cell.get().write(MaybeUninit::new(Slot::new())) };
        }
        // Release: whoever sees the count sees the slots.
        self.made.store(first + count, Ordering::Release);
        free.extend((first..first + count).rev());
    }

    /// Owner: takes a slot back.
    pub(crate) fn free_local(&self, list: &FreeList, token: Token) {
        list.free.borrow_mut().push(token.index());
    }

    /// Any thread: gives a slot back to the owner.
    pub(crate) fn free_remote(&self, token: Token) {
        let slot = self.slot(token.index());
        let mut top = self.remote_free.load(Ordering::Relaxed);
        loop {
            slot.next_free.store(top, Ordering::Relaxed);
            // Release: everything done to the slot happens before the owner hands it out again.
            match self.remote_free.compare_exchange_weak(
                top,
                token.index(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let made = *self.made.get_mut();
        for index in 0..made {
            let (bucket, offset) = locate(index);
            let cell = self.buckets[bucket]
                .get_mut()
                .and_then(|cells| cells.get_mut(offset));
            if let Some(cell) = cell {
                // SAFETY: it has been counted, so it is written, and nobody else has the slab any more.
                unsafe { cell.get_mut().assume_init_drop() };
            }
        }
    }
}

/// Room for `count` slots, none of which is made: memory that nobody has touched.
fn uninit_cells(count: usize) -> Bucket {
    let cells = Box::<[Place]>::new_uninit_slice(count);
    // SAFETY: a cell of what may be uninitialised needs no initialisation.
    unsafe { cells.assume_init() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_the_buckets_in_order() {
        assert_eq!(locate(0), (0, 0));
        assert_eq!(locate(63), (0, 63));
        assert_eq!(locate(64), (1, 0));
        assert_eq!(locate(191), (1, 127));
        assert_eq!(locate(192), (2, 0));
    }

    #[test]
    fn a_stale_token_does_not_resolve() {
        let slab = Slab::new();
        let list = FreeList::default();
        let first = slab.allocate(&list);
        slab.free_local(&list, first);
        let second = slab.allocate(&list);
        assert_eq!(first.index(), second.index());
        assert!(slab.resolve(first).is_none());
        assert!(slab.resolve(second).is_some());
        assert!(slab.resolve(Token::WAKE).is_none());
    }

    /// Slots are made as they are needed, within a bucket and from one to the next.
    #[test]
    fn a_bucket_is_filled_page_by_page() {
        let slab = Slab::new();
        let list = FreeList::default();
        for index in 0..1000 {
            let made = slab.made.load(Ordering::Relaxed);
            assert!(index <= made && made < index + MADE_AT_A_TIME);
            assert!(slab.get(made).is_none(), "nobody has made it");
            assert_eq!(slab.allocate(&list).index(), index);
        }
    }

    /// Control: a slab without `drop`.
    #[test]
    fn wakers_that_are_left_are_dropped() {
        struct Nothing;
        impl std::task::Wake for Nothing {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let waker = std::sync::Arc::new(Nothing);
        let slab = Slab::new();
        let list = FreeList::default();
        for _ in 0..100 {
            let token = slab.allocate(&list);
            slab.slot(token.index()).state.arm(waker.clone().into());
        }
        assert_eq!(std::sync::Arc::strong_count(&waker), 101);
        drop(slab);
        assert_eq!(std::sync::Arc::strong_count(&waker), 1);
    }

    #[test]
    fn slots_freed_elsewhere_come_back() {
        let slab = Slab::new();
        let list = FreeList::default();
        let tokens: Vec<_> = (0..64).map(|_| slab.allocate(&list)).collect();
        std::thread::scope(|scope| {
            for chunk in tokens.chunks(16) {
                let slab = &slab;
                scope.spawn(move || chunk.iter().for_each(|&token| slab.free_remote(token)));
            }
        });
        let mut again: Vec<_> = (0..64).map(|_| slab.allocate(&list).index()).collect();
        again.sort_unstable();
        assert_eq!(again, (0..64).collect::<Vec<_>>());
        assert_eq!(
            slab.made.load(Ordering::Relaxed),
            64,
            "the slab grew although slots were free"
        );
    }

    #[test]
    fn a_slot_is_two_cache_lines() {
        assert_eq!(size_of::<Slot>(), 128);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::atomic::AtomicU64;
    use loom::sync::Arc;
    use loom::thread;

    /// Writes into a slot as the holder of its token may; loom finds out when somebody else still does.
    fn write(slab: &Slab, token: Token) {
        let slot = slab.resolve(token).expect("the token is in use");
        slot.result
            // SAFETY: the slot belongs to the holder of the token.
            .with_mut(|result| unsafe { *result = Completion::default() });
    }

    /// Two threads free their slots while the owner allocates: a slot is handed out again only when the
    /// thread that freed it is done with it, and none is handed out twice or lost.
    ///
    /// Control, tried: a refill that does not acquire what the list has.
    #[test]
    fn loom_slots_freed_elsewhere_are_reused_once() {
        loom::model(|| {
            let slab = Arc::new(Slab::new());
            let list = FreeList::default();
            let holders = [(); 2].map(|()| {
                let (slab, token) = (slab.clone(), slab.allocate(&list));
                thread::spawn(move || {
                    write(&slab, token);
                    slab.free_remote(token);
                })
            });
            let mut taken: Vec<u32> = Vec::new();
            let mut allocate = || {
                let token = slab.allocate(&list);
                write(&slab, token);
                taken.push(token.index());
            };
            allocate();
            allocate();
            for holder in holders {
                holder.join().expect("holder");
            }
            let made = slab.made.load(Ordering::Relaxed);
            (2..made).for_each(|_| allocate());
            assert_eq!(slab.made.load(Ordering::Relaxed), made, "a slot was lost");
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..made), "a slot was handed out twice");
        });
    }

    /// A slot freed elsewhere and used again: who knows the new token finds that the old one is stale,
    /// however it came to know it.
    ///
    /// Control, tried: a generation that whoever frees raises, after the slot is on the list.
    #[test]
    fn loom_a_stale_token_does_not_resolve() {
        loom::model(|| {
            let slab = Arc::new(Slab::new());
            let list = FreeList::default();
            let (old, _other) = (slab.allocate(&list), slab.allocate(&list));
            // Stands for the kernel, which hands a token from the owner to the reaper.
            let kernel = Arc::new(AtomicU64::new(Token::IGNORE.raw()));
            let holder = {
                let slab = slab.clone();
                thread::spawn(move || {
                    write(&slab, old);
                    slab.free_remote(old);
                })
            };
            let reaper = {
                let (slab, kernel) = (slab.clone(), kernel.clone());
                thread::spawn(move || {
                    let token = Token::from_raw(kernel.load(Ordering::Acquire));
                    if token == Token::IGNORE {
                        return;
                    }
                    assert!(slab.resolve(token).is_some());
                    write(&slab, token);
                    if token.index() == old.index() {
                        assert!(slab.resolve(old).is_none(), "a stale token resolves");
                    }
                })
            };
            let token = slab.allocate(&list);
            kernel.store(token.raw(), Ordering::Release);
            holder.join().expect("holder");
            reaper.join().expect("reaper");
            let again = slab.resolve(old).is_some();
            assert_eq!(again, token.index() != old.index());
        });
    }
}
