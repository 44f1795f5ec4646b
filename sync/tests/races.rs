//! Threads that meet in the primitives, without a runtime and with little to do, so that Miri can run it:
//!
//! ```console
//! MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p heist-sync --test races
//! ```
//!
//! (`-Zmiri-preemption-rate=0.1 -Zmiri-many-seeds=0..8`, with and without `-Zmiri-tree-borrows`, finds more.)
//! There it finds what loom's models cannot: pointers that have outlived what they point to, and references
//! that claim more than is theirs. Items are a byte long, so that there is padding behind them.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::{Mutex, Notify, PriorityQueue, Queue, RwLock, Semaphore};
use heist_sync::{broadcast, mpsc, oneshot, watch};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

const ROUNDS: usize = if cfg!(miri) { 12 } else { 500 };
/// More than a block of a channel.
const ITEMS: u8 = 70;

/// Both ends of a oneshot channel leave at about the same time, in every way there is.
#[test]
fn oneshot_ends_part() {
    for round in 0..ROUNDS * 4 {
        let (mut sender, mut receiver) = oneshot::channel::<u8>();
        let other = thread::spawn(move || match round % 4 {
            0 | 1 => drop(sender.send(7)),
            2 => drop(sender),
            _ => block_on(sender.closed()),
        });
        match round / 4 % 4 {
            0 if round % 4 != 3 => assert_eq!(block_on(receiver).is_ok(), round % 4 < 2),
            1 => {
                let counter = Counter::new();
                let _ = poll_once(pin!(&mut receiver), &counter);
                drop(receiver);
            }
            2 => {
                receiver.close();
                let _ = receiver.try_recv();
                drop(receiver);
            }
            _ => drop(receiver),
        }
        other.join().unwrap();
    }
}

/// Blocks of channels are linked, read, used again and freed while several send.
#[test]
fn channels_carry_what_is_sent() {
    for round in 0..ROUNDS / 4 + 1 {
        let (bounded, mut receiver) = mpsc::channel::<u8>(3);
        let (unbounded, mut other_receiver) = mpsc::unbounded_channel::<u8>();
        let threads = [0, 1].map(|_| {
            let (bounded, unbounded) = (bounded.clone(), unbounded.clone());
            thread::spawn(move || {
                for item in 0..ITEMS {
                    let _ = unbounded.send(item);
                    if block_on(bounded.send(item)).is_err() {
                        return;
                    }
                }
            })
        });
        drop((bounded, unbounded));
        let all = if round % 2 == 0 { 2 * ITEMS } else { ITEMS / 2 };
        for _ in 0..all {
            assert!(block_on(receiver.recv()).is_some());
            let _ = other_receiver.try_recv();
        }
        if round % 4 == 1 {
            receiver.close();
            while block_on(receiver.recv()).is_some() {}
        }
        drop(receiver);
        if round % 3 == 0 {
            while block_on(other_receiver.recv()).is_some() {}
        }
        drop(other_receiver);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// Waiters come, are granted, give up and are forgotten.
#[test]
fn locks_exclude() {
    let mutex = Arc::new(Mutex::new(0_u8));
    let lock = Arc::new(RwLock::new(0_u8));
    let semaphore = Arc::new(Semaphore::new(2));
    let inside = Arc::new(AtomicUsize::new(0));
    let threads = [0, 1, 2].map(|_| {
        let (mutex, lock) = (mutex.clone(), lock.clone());
        let (semaphore, inside) = (semaphore.clone(), inside.clone());
        thread::spawn(move || {
            let counter = Counter::new();
            for round in 0..ROUNDS {
                let _ = poll_once(pin!(mutex.lock()), &counter);
                *block_on(mutex.lock()) = 1;
                let _ = poll_once(pin!(lock.write()), &counter);
                if round % 3 == 0 {
                    let guard = block_on(lock.write());
                    assert_eq!(*guard.downgrade(), *block_on(mutex.lock()) - 1);
                } else {
                    assert_eq!(*block_on(lock.read()), 0);
                }
                let _ = poll_once(pin!(semaphore.acquire_many(2)), &counter);
                let permit = block_on(semaphore.acquire()).unwrap();
                assert!(inside.fetch_add(1, Relaxed) < 2);
                inside.fetch_sub(1, Relaxed);
                drop(permit);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(semaphore.available_permits(), 2);
}

/// What is handed to somebody who gives up goes to the next.
#[test]
fn queues_and_notifications_lose_nothing() {
    let (fifo, smallest) = (Queue::<u8>::new(2), PriorityQueue::<u8>::new(2));
    let (fifo, smallest) = (Arc::new(fifo), Arc::new(smallest));
    let notify = Arc::new(Notify::new());
    let taker = thread::spawn({
        let (fifo, smallest, notify) = (fifo.clone(), smallest.clone(), notify.clone());
        move || {
            let counter = Counter::new();
            let mut left = 2 * usize::from(ITEMS);
            while left > 0 {
                left -= usize::from(poll_once(pin!(fifo.get()), &counter).is_ready());
                left -= usize::from(poll_once(pin!(smallest.get()), &counter).is_ready());
                let _ = poll_once(pin!(notify.notified()), &counter);
                thread::yield_now();
            }
        }
    });
    for item in 0..ITEMS {
        block_on(fifo.put(item)).unwrap();
        block_on(smallest.put(item)).unwrap();
        notify.notify_one();
        if item % 8 == 0 {
            notify.notify_waiters();
        }
    }
    taker.join().unwrap();
}

/// Everybody who waits is reached.
#[test]
fn values_are_seen_by_all() {
    let (sender, receiver) = watch::channel(0_u8);
    let (caster, listener) = broadcast::channel::<u8>(4);
    let threads = [0, 1].map(|_| {
        let (mut receiver, mut listener) = (receiver.clone(), listener.resubscribe());
        thread::spawn(move || {
            let counter = Counter::new();
            while *receiver.borrow_and_update() < ITEMS {
                let _ = poll_once(pin!(receiver.changed()), &counter);
                if block_on(receiver.changed()).is_err() {
                    break;
                }
            }
            let mut last = 0;
            loop {
                match block_on(listener.recv()) {
                    Ok(item) => last = item,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return last,
                }
            }
        })
    });
    drop((receiver, listener));
    for item in 1..=ITEMS {
        sender.send_replace(item);
        caster.send(item).unwrap();
        thread::yield_now();
    }
    drop((sender, caster));
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [ITEMS; 2]);
}

/// A future that is forgotten stays in its queue, and what it waits in may be gone before it.
#[test]
fn forgotten_futures_stay_sound() {
    let counter = Counter::new();
    let semaphore = Semaphore::new(0);
    let mut first = Box::pin(semaphore.acquire());
    assert!(poll_once(first.as_mut(), &counter).is_pending());
    std::mem::forget(first);
    let mut second = Box::pin(semaphore.acquire());
    assert!(poll_once(second.as_mut(), &counter).is_pending());
    semaphore.add_permits(1);
    assert!(
        poll_once(second.as_mut(), &counter).is_pending(),
        "the first has it"
    );
    semaphore.add_permits(1);
    assert!(poll_once(second.as_mut(), &counter).is_ready());
    let queue = Queue::<Box<u8>>::new(1);
    let mut get = Box::pin(queue.get());
    assert!(poll_once(get.as_mut(), &counter).is_pending());
    std::mem::forget(get);
    queue.try_put(Box::new(1)).unwrap();
    drop(queue);
    let mutex = Mutex::new(Box::new(1_u8));
    std::mem::forget(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_err());
    assert_eq!(*mutex.into_inner(), 1);
}
