//! Each test has a depot of its own.

use std::alloc::alloc;
use std::cell::Cell;
use std::collections::HashSet;
use std::ptr::NonNull;
use std::time::Duration;

use super::depot::{Depot, PERIOD};
use super::magazine::{CAPACITY, Magazine};
use super::{Kept, allocate, deallocate, layout_of_size};

const SIZE: usize = 6;

fn kept() -> Kept {
    Kept {
        loaded: Cell::new(Magazine::EMPTY),
        spare: Cell::new(Magazine::EMPTY),
    }
}

fn block() -> NonNull<u8> {
    // SAFETY: the layout is not that of nothing.
    NonNull::new(unsafe { alloc(layout_of_size(SIZE)) }).expect("there is memory")
}

impl Kept {
    fn put(&self, depot: &Depot, count: u32) -> HashSet<NonNull<u8>> {
        let blocks: HashSet<_> = (0..count).map(|_| block()).collect();
        for &block in &blocks {
            // SAFETY: just allocated.
            unsafe { self.give(SIZE, depot, block) };
        }
        blocks
    }

    fn free(&self) {
        self.loaded.take().free(layout_of_size(SIZE));
        self.spare.take().free(layout_of_size(SIZE));
    }
}

/// Control, tried: with `reload` looking into the depot only, the spare magazine's blocks are missing.
#[test]
fn what_is_given_is_taken_again_once() {
    let (depot, kept) = (Depot::new(), kept());
    let blocks = kept.put(&depot, 5 * CAPACITY + 7);
    let mut taken = HashSet::new();
    while let Some(block) = kept.take(SIZE, &depot) {
        assert!(taken.insert(block), "taken twice");
    }
    assert_eq!(taken, blocks);
    assert!(depot.is_empty());
    for block in taken {
        // SAFETY: just taken.
        unsafe { kept.give(SIZE, &depot, block) };
    }
    kept.free();
    depot.clear();
}

/// Control, tried: without `unload` giving to the depot, the other thread has to allocate.
#[test]
fn what_one_thread_frees_another_can_use() {
    let (depot, ours) = (Depot::new(), kept());
    let blocks = ours.put(&depot, 10 * CAPACITY);
    let passed_on = std::thread::scope(|threads| {
        let other = threads.spawn(|| {
            let theirs = kept();
            let mut count = 0;
            let mut magazine = Magazine::EMPTY;
            while let Some(block) = theirs.take(SIZE, &depot) {
                count += 1;
                // SAFETY: just taken.
                unsafe { magazine.push(block) };
            }
            magazine.free(layout_of_size(SIZE));
            count
        });
        other.join().expect("it does not panic")
    });
    assert_eq!(passed_on, blocks.len() - 2 * CAPACITY as usize);
    ours.free();
}

/// Control, tried: without the `fewest` of a shelf, what is in use between two trims is given up too.
#[test]
fn what_is_unused_is_given_up_bit_by_bit() {
    let (depot, kept) = (Depot::new(), kept());
    drop(kept.put(&depot, 102 * CAPACITY));
    let period = u32::try_from(PERIOD.as_millis()).expect("it is short");
    let mut now = 10 * period;
    assert_eq!(depot.trim(|| now), Some(PERIOD), "the first only looks");
    assert_eq!(
        depot.trim(|| now + period - 1),
        Some(Duration::from_millis(1))
    );
    // Half of it is used in each period.
    for _ in 0..20 {
        let mut used = Vec::new();
        for _ in 0..50 {
            used.extend(depot.take(SIZE));
        }
        for magazine in used {
            depot.give(SIZE, magazine);
        }
        now += period;
        assert_eq!(depot.trim(|| now), Some(PERIOD));
    }
    let mut left = Vec::new();
    left.extend(std::iter::from_fn(|| depot.take(SIZE)));
    assert_eq!(left.len(), 50, "what is used stays, the rest does not");
    for magazine in left {
        depot.give(SIZE, magazine);
    }
    let mut trims = 0;
    while depot.trim(|| now).is_some() {
        now += period;
        trims += 1;
    }
    assert!((4..8).contains(&trims), "{trims}");
    kept.free();
}

#[test]
fn memory_is_aligned_and_of_its_own() {
    #[repr(align(64))]
    struct Aligned(#[expect(dead_code, reason = "room")] [u8; 100]);
    fn round<T>() {
        let places: Vec<_> = (0..200).map(|_| allocate::<T>()).collect();
        let distinct: HashSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len());
        for place in places {
            assert!(place.is_aligned());
            // SAFETY: from `allocate`.
            unsafe { deallocate(place) };
        }
    }
    round::<u64>();
    round::<[u64; 24]>();
    round::<Aligned>();
    round::<[u8; 5000]>();
}
