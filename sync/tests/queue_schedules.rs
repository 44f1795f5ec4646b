//! The queues under random schedules, against a model, and under threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::queue::{AnyQueue, Fifo, Lifo, Priority, Store, TryGetError};
use heist_sync::{Queue, QueueShutDown};
use std::cmp::Ordering;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

/// Compared by rank alone. Counts itself while it is alive.
#[derive(Debug)]
struct Item {
    rank: u64,
    id: u64,
    alive: Arc<AtomicUsize>,
}

impl Item {
    fn new(rank: u64, id: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        let alive = Arc::clone(alive);
        Self { rank, id, alive }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

/// An item in the model: when it was put, its rank and its name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Put {
    number: u64,
    rank: u64,
    id: u64,
}

/// Which of two items comes out first.
type Before = fn(&Put, &Put) -> Ordering;

type Boxed<'q, R> = Pin<Box<dyn Future<Output = R> + 'q>>;

/// One who waits, and what it has come to by the model: nothing while that is `None`.
struct Waiting<'q, R, E> {
    future: Boxed<'q, R>,
    waker: Arc<Counter>,
    brought: (u64, u64),
    outcome: Option<E>,
}

type WaitingGet<'q> = Waiting<'q, Result<Item, QueueShutDown>, Result<Put, ()>>;
type WaitingPut<'q> = Waiting<'q, Result<(), QueueShutDown<Item>>, Result<(), ()>>;

struct Model<'q> {
    before: Before,
    maxsize: usize,
    store: Vec<Put>,
    next_number: u64,
    unfinished: usize,
    shut: bool,
    over: bool,
    gets: Vec<WaitingGet<'q>>,
    puts: Vec<WaitingPut<'q>>,
}

impl Model<'_> {
    fn put(&mut self, rank: u64, id: u64) {
        let number = self.next_number;
        self.next_number += 1;
        self.unfinished += 1;
        self.deliver(Put { number, rank, id });
    }

    fn deliver(&mut self, put: Put) {
        match self.gets.iter_mut().find(|get| get.outcome.is_none()) {
            Some(get) => get.outcome = Some(Ok(put)),
            None => self.store.push(put),
        }
    }

    fn get(&mut self) -> Option<Put> {
        let first =
            (0..self.store.len()).min_by(|a, b| (self.before)(&self.store[*a], &self.store[*b]))?;
        let put = self.store.remove(first);
        if self.store.len() < self.maxsize
            && let Some(waiting) = self.puts.iter_mut().find(|put| put.outcome.is_none())
        {
            waiting.outcome = Some(Ok(()));
            let (rank, id) = waiting.brought;
            self.put(rank, id);
        }
        Some(put)
    }

    fn give_back(&mut self, put: Put) {
        if self.over {
            self.unfinished -= 1;
        } else {
            self.deliver(put);
        }
    }

    fn shut_down(&mut self, immediate: bool) {
        self.shut = true;
        if immediate {
            self.over = true;
            self.unfinished -= self.store.len();
            self.store.clear();
        }
        for get in self.gets.iter_mut().filter(|get| get.outcome.is_none()) {
            get.outcome = Some(Err(()));
        }
        for put in self.puts.iter_mut().filter(|put| put.outcome.is_none()) {
            put.outcome = Some(Err(()));
        }
    }

    /// How many items there are, wherever they are.
    fn alive(&self) -> usize {
        let given = self
            .gets
            .iter()
            .filter(|get| matches!(get.outcome, Some(Ok(_))));
        let kept = self.puts.iter().filter(|put| put.outcome != Some(Ok(())));
        self.store.len() + given.count() + kept.count()
    }
}

/// Polls one who waits, and checks what comes of it. Returns whether it is done.
fn check_get(get: &mut WaitingGet<'_>) -> bool {
    assert_eq!(
        get.waker.count() > 0,
        get.outcome.is_some(),
        "woken if served"
    );
    let polled = poll_once(get.future.as_mut(), &get.waker);
    match get.outcome {
        None => assert!(polled.is_pending()),
        Some(Ok(put)) => assert!(matches!(polled, Poll::Ready(Ok(item)) if item.id == put.id)),
        Some(Err(())) => assert!(matches!(polled, Poll::Ready(Err(_)))),
    }
    get.outcome.is_some()
}

fn check_put(put: &mut WaitingPut<'_>) -> bool {
    assert_eq!(
        put.waker.count() > 0,
        put.outcome.is_some(),
        "woken if served"
    );
    let polled = poll_once(put.future.as_mut(), &put.waker);
    match put.outcome {
        None => assert!(polled.is_pending()),
        Some(Ok(())) => assert!(matches!(polled, Poll::Ready(Ok(())))),
        Some(Err(())) => {
            assert!(matches!(polled, Poll::Ready(Err(error)) if error.0.id == put.brought.1));
        }
    }
    put.outcome.is_some()
}

fn new_put<'q, S: Store<Item>>(queue: &'q AnyQueue<Item, S>, model: &mut Model<'q>, item: Item) {
    let brought = (item.rank, item.id);
    let mut future: Boxed<'q, _> = Box::pin(queue.put(item));
    let waker = Counter::new();
    let polled = poll_once(future.as_mut(), &waker);
    if model.shut {
        assert!(matches!(polled, Poll::Ready(Err(_))));
    } else if model.store.len() < model.maxsize {
        assert!(matches!(polled, Poll::Ready(Ok(()))));
        model.put(brought.0, brought.1);
    } else {
        assert!(polled.is_pending());
        model.puts.push(Waiting {
            future,
            waker,
            brought,
            outcome: None,
        });
    }
}

fn new_get<'q, S: Store<Item>>(queue: &'q AnyQueue<Item, S>, model: &mut Model<'q>) {
    let mut future: Boxed<'q, _> = Box::pin(queue.get());
    let waker = Counter::new();
    let polled = poll_once(future.as_mut(), &waker);
    if let Some(put) = model.get() {
        assert!(matches!(polled, Poll::Ready(Ok(item)) if item.id == put.id));
    } else if model.shut {
        assert!(matches!(polled, Poll::Ready(Err(_))));
    } else {
        assert!(polled.is_pending());
        model.gets.push(Waiting {
            future,
            waker,
            brought: (0, 0),
            outcome: None,
        });
    }
}

/// One random step on the queue and on the model.
fn step<'q, S: Store<Item>>(
    queue: &'q AnyQueue<Item, S>,
    model: &mut Model<'q>,
    random: &mut Rng,
    item: impl FnOnce(u64) -> Item,
) {
    let (gets, puts) = (model.gets.len() as u64, model.puts.len() as u64);
    match random.below(12) {
        0..=2 => new_put(queue, model, item(random.below(4))),
        3..=5 => new_get(queue, model),
        6 => {
            let item = item(random.below(4));
            let (rank, id) = (item.rank, item.id);
            let fits = !model.shut && model.store.len() < model.maxsize;
            assert_eq!(queue.try_put(item).is_ok(), fits);
            if fits {
                model.put(rank, id);
            }
        }
        7 => match (queue.try_get(), model.get()) {
            (Ok(item), Some(put)) => assert_eq!(item.id, put.id),
            (Err(error), None) => assert_eq!(error == TryGetError::ShutDown, model.shut),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        },
        // Whoever waits is dropped: in line, or served and not polled since.
        8 if gets > 0 => {
            let get = model.gets.remove(random.below(gets) as usize);
            let outcome = get.outcome;
            drop(get);
            if let Some(Ok(put)) = outcome {
                model.give_back(put);
            }
        }
        9 if puts > 0 => drop(model.puts.remove(random.below(puts) as usize)),
        10 if gets > 0 => {
            let at = random.below(gets) as usize;
            if check_get(&mut model.gets[at]) {
                model.gets.remove(at);
            }
        }
        10 if puts > 0 => {
            let at = random.below(puts) as usize;
            if check_put(&mut model.puts[at]) {
                model.puts.remove(at);
            }
        }
        11 if random.below(16) == 0 => {
            let immediate = random.below(2) == 0;
            queue.shutdown(immediate);
            model.shut_down(immediate);
        }
        _ => {}
    }
}

/// A number of random schedules of gets and puts that come, are polled and dropped.
fn schedules<S: Store<Item>>(before: Before) {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let maxsize = 1 + random.below(3) as usize;
        let alive = Arc::new(AtomicUsize::new(0));
        let queue = AnyQueue::<Item, S>::new(maxsize);
        let mut model = Model {
            before,
            maxsize,
            store: Vec::new(),
            next_number: 0,
            unfinished: 0,
            shut: false,
            over: false,
            gets: Vec::new(),
            puts: Vec::new(),
        };
        for id in 0..40 {
            let item = |rank| Item::new(rank, id, &alive);
            step(&queue, &mut model, &mut random, item);
            assert_eq!(queue.len(), model.store.len(), "seed {seed}");
            assert_eq!(alive.load(SeqCst), model.alive(), "seed {seed}");
        }
        for mut get in std::mem::take(&mut model.gets) {
            check_get(&mut get);
        }
        for mut put in std::mem::take(&mut model.puts) {
            check_put(&mut put);
        }
        while let Some(put) = model.get() {
            assert_eq!(
                queue.try_get().expect("the model has one").id,
                put.id,
                "seed {seed}"
            );
        }
        let mut join = pin!(queue.join());
        for _ in 0..model.unfinished {
            assert!(poll_once(join.as_mut(), &Counter::new()).is_pending());
            queue.task_done();
        }
        block_on(join);
        assert_eq!(alive.load(SeqCst), 0, "seed {seed}");
    }
}

/// Fails if a dropped get keeps its item or puts it in the wrong place, if a dropped put leaves its
/// item behind, or if somebody overtakes.
#[test]
fn fifo_dropped_at_any_point_loses_nothing() {
    schedules::<Fifo<Item>>(|a, b| a.number.cmp(&b.number));
}

#[test]
fn lifo_dropped_at_any_point_loses_nothing() {
    schedules::<Lifo<Item>>(|a, b| b.number.cmp(&a.number));
}

#[test]
fn priority_dropped_at_any_point_loses_nothing() {
    schedules::<Priority<Item>>(|a, b| (a.rank, a.number).cmp(&(b.rank, b.number)));
}

/// Producers and consumers that give up at random. Fails if an item is lost, doubled or leaked, or a
/// wake-up is lost (`block_on` panics).
#[test]
fn threads_lose_nothing() {
    const ITEMS: u64 = 20_000;
    let alive = Arc::new(AtomicUsize::new(0));
    let queue = Arc::new(Queue::<Item>::new(3));
    let producers = [0, 1].map(|producer| {
        let (queue, alive) = (Arc::clone(&queue), Arc::clone(&alive));
        std::thread::spawn(move || {
            let mut random = Rng::new(producer);
            // The names of those that were put for certain.
            let mut put = Vec::new();
            for n in 0..ITEMS {
                let id = 2 * n + producer;
                let future = queue.put(Item::new(0, id, &alive));
                if random.below(4) == 0 {
                    if poll_once(pin!(future), &Counter::new()).is_ready() {
                        put.push(id);
                    }
                } else {
                    block_on(future).unwrap();
                    put.push(id);
                }
            }
            put
        })
    });
    let consumers = [2, 3, 4].map(|seed| {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || {
            let mut random = Rng::new(seed);
            let mut got = Vec::new();
            loop {
                let future = queue.get();
                let outcome = if random.below(4) == 0 {
                    match poll_once(pin!(future), &Counter::new()) {
                        Poll::Ready(outcome) => outcome,
                        Poll::Pending => continue,
                    }
                } else {
                    block_on(future)
                };
                let Ok(item) = outcome else { return got };
                got.push(item.id);
                drop(item);
                queue.task_done();
            }
        })
    });
    let mut put: Vec<_> = producers.map(|thread| thread.join().unwrap()).concat();
    block_on(queue.join());
    queue.shutdown(false);
    let mut got: Vec<_> = consumers.map(|thread| thread.join().unwrap()).concat();
    assert_eq!(alive.load(SeqCst), 0);
    put.sort_unstable();
    got.sort_unstable();
    let count = got.len();
    got.dedup();
    assert_eq!(got.len(), count, "nothing was got twice");
    assert!(put.iter().all(|id| got.binary_search(id).is_ok()));
}

/// Fails if items overtake each other on their way through gets that are given up.
#[test]
fn threads_keep_the_order() {
    const ITEMS: u64 = 50_000;
    let queue = Arc::new(Queue::new(2));
    let producer = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            for n in 0..ITEMS {
                block_on(queue.put(n)).unwrap();
            }
        }
    });
    let mut random = Rng::new(7);
    let mut expected = 0;
    while expected < ITEMS {
        let waker = Counter::new();
        let mut gets = vec![Box::pin(queue.get()), Box::pin(queue.get())];
        if let Poll::Ready(got) = poll_once(gets[0].as_mut(), &waker) {
            assert_eq!(got, Ok(expected));
            expected += 1;
        } else if let Poll::Ready(got) = poll_once(gets[1].as_mut(), &waker) {
            // The other was first in line, so it has been served.
            assert_eq!(got, Ok(expected + 1));
            assert_eq!(block_on(gets.remove(0)), Ok(expected));
            expected += 2;
        } else {
            // Both may have been given something meanwhile.
            drop(gets.remove(random.below(2) as usize));
        }
    }
    producer.join().unwrap();
}
