//! The completions of a multishot operation on their way from the reaper to its consumer.
//!
//! One producer at a time (the holder of the CQ lock) and one consumer. The common case is a small
//! ring of words without locks; what does not fit spills into a list behind a mutex. Order is kept:
//! once something has spilled, everything spills until the consumer has emptied the list, and the
//! consumer empties the ring first.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::driver::completion::Completion;
use crate::primitives::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::primitives::{Mutex, MutexGuard};

/// Completions that need no lock.
const RING: usize = if cfg!(loom) { 2 } else { 8 };

#[derive(Debug)]
pub(crate) struct CompletionQueue {
    ring: [AtomicU64; RING],
    /// Next place to read; written by the consumer.
    head: AtomicU32,
    /// Next place to write; written by the producer.
    tail: AtomicU32,
    /// Items in `spill`; changed only under its lock.
    spilled: AtomicUsize,
    spill: Mutex<VecDeque<u64>>,
}

impl CompletionQueue {
    pub(crate) fn new() -> Self {
        Self {
            ring: std::array::from_fn(|_| AtomicU64::new(0)),
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            spilled: AtomicUsize::new(0),
            spill: Mutex::new(VecDeque::new()),
        }
    }

    fn spill(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items waiting; exact for the consumer and the producer, a snapshot for others.
    pub(crate) fn len(&self) -> usize {
        let ring = self
            .tail
            .load(Ordering::Acquire)
            .wrapping_sub(self.head.load(Ordering::Acquire));
        ring as usize + self.spilled.load(Ordering::Acquire)
    }

    /// Producer: appends one completion.
    pub(crate) fn push(&self, completion: Completion) {
        let item = completion.pack();
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Acquire);
        if self.spilled.load(Ordering::Acquire) == 0 && tail.wrapping_sub(head) < RING as u32 {
            self.ring[tail as usize % RING].store(item, Ordering::Relaxed);
            self.tail.store(tail.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spill = self.spill();
        spill.push_back(item);
        self.spilled.store(spill.len(), Ordering::Release);
    }

    /// Consumer: takes the oldest completion.
    pub(crate) fn pop(&self) -> Option<Completion> {
        // The order of these two loads matters: an item in the spill was preceded by a full ring, so
        // a ring that is empty *after* the spill was seen holds nothing older.
        let spilled = self.spilled.load(Ordering::Acquire);
        let head = self.head.load(Ordering::Relaxed);
        if self.tail.load(Ordering::Acquire) != head {
            let item = self.ring[head as usize % RING].load(Ordering::Relaxed);
            self.head.store(head.wrapping_add(1), Ordering::Release);
            return Some(Completion::unpack(item));
        }
        if spilled == 0 {
            return None;
        }
        let mut spill = self.spill();
        let item = spill.pop_front();
        self.spilled.store(spill.len(), Ordering::Release);
        item.map(Completion::unpack)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_across_the_spill() {
        let queue = CompletionQueue::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 1..200 {
            for _ in 0..round % 23 {
                queue.push(Completion::new(pushed, 7));
                pushed += 1;
            }
            for _ in 0..round % 17 {
                let Some(item) = queue.pop() else { break };
                assert_eq!(item, Completion::new(popped, 7));
                popped += 1;
            }
            assert_eq!(queue.len(), (pushed - popped) as usize);
        }
    }

    #[test]
    fn a_consumer_on_another_thread_sees_every_item_in_order() {
        const COUNT: i32 = 200_000;
        let queue = CompletionQueue::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COUNT).for_each(|i| queue.push(Completion::new(-i, i as u32))));
            let mut next = 0;
            while next < COUNT {
                let Some(item) = queue.pop() else {
                    std::hint::spin_loop();
                    continue;
                };
                assert_eq!(item, Completion::new(-next, next as u32));
                next += 1;
            }
        });
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::model::check_bounded;
    use loom::sync::Arc;
    use loom::thread;

    /// Consumer: takes the oldest completion and sees that it is number `next`.
    fn take(queue: &CompletionQueue, next: &mut i32) -> bool {
        let Some(item) = queue.pop() else {
            return false;
        };
        assert_eq!(item, Completion::new(*next, 7), "out of order");
        *next += 1;
        true
    }

    /// Pushes `before` completions, then `beside` more while a consumer tries `tries` times, and sees that
    /// every one comes out, in order.
    fn check(before: i32, beside: i32, tries: usize) {
        check_bounded(4, move || {
            let queue = Arc::new(CompletionQueue::new());
            (0..before).for_each(|i| queue.push(Completion::new(i, 7)));
            // The producer is the thread that runs first: loom then tries the consumer's looks before each
            // of its stores.
            let consumer = {
                let queue = queue.clone();
                thread::spawn(move || {
                    let mut next = 0;
                    for _ in 0..tries {
                        take(&queue, &mut next);
                    }
                    next
                })
            };
            for i in before..before + beside {
                queue.push(Completion::new(i, 7));
                assert!(queue.len() <= i as usize + 1);
            }
            let mut next = consumer.join().expect("consumer");
            while take(&queue, &mut next) {}
            assert_eq!(next, before + beside, "a completion was lost");
            assert_eq!(queue.len(), 0);
        });
    }

    /// An empty queue that fills, and spills, while the consumer takes.
    ///
    /// Control, tried: a `pop` that looks at the spill after the ring.
    #[test]
    fn loom_filling_up_to_the_spill() {
        check(0, RING as i32 + 1, 2);
    }

    /// A queue that has spilled already: the producer goes on as the consumer empties the spill.
    ///
    /// Control, tried: a `pop` that tells what is left in the spill after it has let go of the lock.
    #[test]
    fn loom_emptying_the_spill() {
        check(RING as i32 + 1, 2, RING + 2);
    }

    /// A full ring: the next completion spills, or just fits.
    ///
    /// Control, tried: a `push` that does not ask whether something has spilled.
    #[test]
    fn loom_on_the_edge_of_the_spill() {
        check(RING as i32, 2, RING + 1);
    }
}
