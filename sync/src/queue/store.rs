//! Where the items are, in the order in which they come out.
//!
//! Items are numbered as they are put. So one that a cancelled get gives back goes exactly where it
//! would be had nobody taken it, and equal ones of a priority queue keep their order.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

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
#[derive(Debug)]
pub struct Priority<T>(BinaryHeap<Numbered<T>>);

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
    fn new() -> Self;
    fn len(&self) -> usize;
    /// Adds an item in its place.
    fn insert(&mut self, item: Numbered<T>);
    /// Takes out the item whose turn it is.
    fn next(&mut self) -> Option<Numbered<T>>;
}

impl<T> Items<T> for Fifo<T> {
    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, item: Numbered<T>) {
        if self.0.back().is_none_or(|last| last.number < item.number) {
            self.0.push_back(item);
        } else {
            let at = self.0.partition_point(|other| other.number < item.number);
            self.0.insert(at, item);
        }
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.0.pop_front()
    }
}

impl<T> Items<T> for Lifo<T> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, item: Numbered<T>) {
        if self.0.last().is_none_or(|last| last.number < item.number) {
            self.0.push(item);
        } else {
            let at = self.0.partition_point(|other| other.number < item.number);
            self.0.insert(at, item);
        }
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.0.pop()
    }
}

impl<T: Ord> Items<T> for Priority<T> {
    fn new() -> Self {
        Self(BinaryHeap::new())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, item: Numbered<T>) {
        self.0.push(item);
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.0.pop()
    }
}

/// The heap has its greatest on top, so the order is reversed.
impl<T: Ord> Ord for Numbered<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let forward = self.item.cmp(&other.item);
        forward.then(self.number.cmp(&other.number)).reverse()
    }
}

impl<T: Ord> PartialOrd for Numbered<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Numbered<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Numbered<T> {}
