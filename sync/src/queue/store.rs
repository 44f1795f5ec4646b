//! Where the items are, in the order in which they come out.
//!
//! Items are numbered as they are put. So one that a cancelled get gives back goes exactly where it
//! would be had nobody taken it, and equal ones of a priority queue keep their order.

use std::collections::VecDeque;

/// In which order items come out. Nobody else can implement it.
#[expect(private_bounds, reason = "it is sealed by the private supertrait")]
pub trait Store<T>: Items<T> {}

/// The oldest item comes first.
#[derive(Debug)]
pub struct Fifo<T>(VecDeque<Numbered<T>>);

/// The newest item comes first.
#[derive(Debug)]
pub struct Lifo<T>(Vec<Numbered<T>>);

/// The smallest item comes first, and of equal ones the oldest.
///
/// A binary heap that makes all its comparisons, which may panic, before it changes anything.
#[derive(Debug)]
pub struct Priority<T>(Vec<Numbered<T>>);

impl<T> Store<T> for Fifo<T> {}
impl<T> Store<T> for Lifo<T> {}
impl<T: Ord> Store<T> for Priority<T> {}

/// An item, and how many were put before it.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    pub(super) number: u64,
    pub(super) item: T,
}

/// What the queue does with its items.
pub(super) trait Items<T>: Sized {
    /// Whether `place` and `next` compare items, which is the user's code.
    const COMPARES: bool;

    fn new() -> Self;
    fn len(&self) -> usize;
    /// Where an item with this number belongs. At most the length.
    fn place(&self, number: u64, item: &T) -> usize;
    /// Adds an item at a place.
    fn insert(&mut self, place: usize, item: Numbered<T>);
    /// Takes out the item whose turn it is, or panics before it has changed anything.
    fn next(&mut self) -> Option<Numbered<T>>;
}

/// The place of a number among ascending ones.
fn place_of<T>(
    number: u64,
    last: Option<&Numbered<T>>,
    len: usize,
    search: impl FnOnce() -> usize,
) -> usize {
    if last.is_none_or(|last| last.number < number) {
        len
    } else {
        search()
    }
}

impl<T> Items<T> for Fifo<T> {
    const COMPARES: bool = false;

    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, number: u64, _: &T) -> usize {
        let search = || self.0.partition_point(|other| other.number < number);
        place_of(number, self.0.back(), self.0.len(), search)
    }

    fn insert(&mut self, place: usize, item: Numbered<T>) {
        self.0.insert(place, item);
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.0.pop_front()
    }
}

impl<T> Items<T> for Lifo<T> {
    const COMPARES: bool = false;

    fn new() -> Self {
        Self(Vec::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, number: u64, _: &T) -> usize {
        let search = || self.0.partition_point(|other| other.number < number);
        place_of(number, self.0.last(), self.0.len(), search)
    }

    fn insert(&mut self, place: usize, item: Numbered<T>) {
        self.0.insert(place, item);
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.0.pop()
    }
}

impl<T: Ord> Items<T> for Priority<T> {
    const COMPARES: bool = true;

    fn new() -> Self {
        Self(Vec::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, number: u64, item: &T) -> usize {
        let mut place = self.0.len();
        while place > 0 && is_before((number, item), self.at(parent(place))) {
            place = parent(place);
        }
        place
    }

    fn insert(&mut self, place: usize, item: Numbered<T>) {
        let mut at = self.0.len();
        self.0.push(item);
        // Those on the way down from the place move down.
        while at > place {
            self.0.swap(at, parent(at));
            at = parent(at);
        }
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        let last = self.0.len().checked_sub(1)?;
        // Down to the bottom, to the smaller child each time.
        let mut place = 0;
        while let child = 2 * place + 1
            && child < last
        {
            let other_first = child + 1 < last && is_before(self.at(child + 1), self.at(child));
            place = child + usize::from(other_first);
        }
        // Up again, to where the last item belongs when those above have moved up.
        while place > 0 && is_before(self.at(last), self.at(place)) {
            place = parent(place);
        }
        self.0.swap(place, last);
        while place > 0 {
            place = parent(place);
            self.0.swap(place, last);
        }
        self.0.pop()
    }
}

impl<T> Priority<T> {
    fn at(&self, place: usize) -> (u64, &T) {
        let Numbered { number, item } = &self.0[place];
        (*number, item)
    }
}

/// Whether one item comes out before another.
fn is_before<T: Ord>(one: (u64, &T), other: (u64, &T)) -> bool {
    let order = one.1.cmp(other.1);
    order.then(one.0.cmp(&other.0)).is_lt()
}

/// Which item of a heap is above another one, that is not the topmost.
fn parent(place: usize) -> usize {
    (place - 1) / 2
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Control, tried: without the way up in `next`, or with one step too few in `insert`.
    #[test]
    fn the_heap_sorts() {
        let mut state = 1_u32;
        let mut random = |below| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..if cfg!(miri) { 5 } else { 200 } {
            let mut heap = Priority::new();
            let mut model = Vec::new();
            for number in 0..u64::from(random(100)) {
                let item = random(20);
                heap.insert(heap.place(number, &item), Numbered { number, item });
                model.push((item, number));
                if random(3) == 0 {
                    model.sort_unstable();
                    let next = heap.next().map(|next| (next.item, next.number));
                    assert_eq!(next, Some(model.remove(0)));
                }
            }
            model.sort_unstable();
            let rest = std::iter::from_fn(|| heap.next());
            let rest: Vec<_> = rest.map(|next| (next.item, next.number)).collect();
            assert_eq!(rest, model);
        }
    }
}
