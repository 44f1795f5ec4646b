//! The readers-writer lock without any runtime: exclusion, fairness, cancellation at every poll,
//! threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

/// Control, tried: a `downgrade` that keeps all permits.
#[test]
fn the_value_is_reached_by_every_way() {
    let mut lock = RwLock::from(vec![1]);
    lock.get_mut().push(2);
    block_on(lock.write()).push(3);
    lock.try_write().unwrap().push(4);
    lock.blocking_write().push(5);
    let lock = Arc::new(lock);
    block_on(Arc::clone(&lock).write_owned()).push(6);
    let mut writer = Arc::clone(&lock).try_write_owned().unwrap();
    writer.push(7);
    assert_eq!(format!("{lock:?}"), "RwLock { value: <locked> }");
    assert!(Arc::clone(&lock).try_read_owned().is_err());
    assert!(Arc::ptr_eq(OwnedRwLockWriteGuard::rwlock(&writer), &lock));
    let reader = writer.downgrade();
    assert!(Arc::ptr_eq(OwnedRwLockReadGuard::rwlock(&reader), &lock));
    let owned = block_on(Arc::clone(&lock).read_owned());
    assert_eq!(*owned, *block_on(lock.read()));
    assert_eq!(*reader, *lock.blocking_read());
    assert!(Arc::clone(&lock).try_write_owned().is_err());
    assert!(lock.try_write().is_err());
    drop((reader, owned));
    assert!(lock.try_write().is_ok());
    assert_eq!(
        Arc::into_inner(lock).unwrap().into_inner(),
        [1, 2, 3, 4, 5, 6, 7]
    );
}

/// Control, tried: a `map` that lets go of the permits, of a reader or of a writer.
#[test]
fn a_mapped_guard_keeps_it_locked() {
    let lock = RwLock::new((1, Some(2)));
    let mut part = RwLockWriteGuard::map(lock.try_write().unwrap(), |value| &mut value.0);
    *part += 10;
    assert!(lock.try_read().is_err());
    drop(part);
    let part = RwLockWriteGuard::try_map(lock.try_write().unwrap(), |value| value.1.as_mut());
    *part.unwrap() += 10;
    let part = RwLockReadGuard::map(lock.try_read().unwrap(), |value| &value.0);
    let other = RwLockReadGuard::try_map(lock.try_read().unwrap(), |value| value.1.as_ref());
    assert_eq!((*part, *other.as_deref().unwrap()), (11, 12));
    assert!(lock.try_write().is_err());
    drop(other);
    assert!(lock.try_write().is_err());
    drop(part);
    lock.try_write().unwrap().1 = None;
    let guard = RwLockWriteGuard::try_map(lock.try_write().unwrap(), |value| value.1.as_mut());
    drop(guard.unwrap_err());
    let guard = RwLockReadGuard::try_map(lock.try_read().unwrap(), |value| value.1.as_ref());
    drop(guard.unwrap_err());
    assert!(lock.try_write().is_ok());
}

/// Control, tried: a `with_max_readers` that makes it three in any case.
#[test]
fn there_are_as_many_readers_as_may_be() {
    let lock = RwLock::with_max_readers((), 2);
    let one = lock.try_read().unwrap();
    let two = lock.try_read().unwrap();
    assert!(lock.try_read().is_err());
    drop(one);
    let writer = lock.try_write();
    assert!(writer.is_err());
    drop(two);
    // All are free again, after a downgrade too.
    let reader = lock.try_write().unwrap().downgrade();
    let other = lock.try_read().unwrap();
    assert!(lock.try_read().is_err());
    drop((reader, other));
    assert!(lock.try_write().is_ok());
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "readers at a time")]
fn no_readers_are_too_few() {
    RwLock::with_max_readers((), 0);
}

/// Fails if readers overtake a waiting writer, or a writer leaves some of its permits behind.
///
/// Controls, tried: a `downgrade` that keeps all permits; a `grant` to the last one of the queue.
#[test]
fn first_come_first_served() {
    let lock = RwLock::new(());
    let waker = Counter::new();
    let reader = lock.try_read().unwrap();
    let mut writer = Box::pin(lock.write());
    let mut late = [(); 2].map(|()| Box::pin(lock.read()));
    assert!(poll_once(writer.as_mut(), &waker).is_pending());
    assert!(lock.try_read().is_err(), "the writer came earlier");
    for late in &mut late {
        assert!(poll_once(late.as_mut(), &waker).is_pending());
    }
    drop(reader);
    assert_eq!(waker.count(), 1);
    let Poll::Ready(guard) = poll_once(writer.as_mut(), &waker) else {
        panic!("it is the writer's turn");
    };
    let mut last = Box::pin(lock.write());
    assert!(poll_once(last.as_mut(), &waker).is_pending());
    // Both who wait read with the one that wrote.
    let guard = guard.downgrade();
    assert_eq!(waker.count(), 3);
    let readers = late.map(|mut late| poll_once(late.as_mut(), &waker));
    assert!(readers.iter().all(Poll::is_ready));
    drop((guard, readers));
    assert!(poll_once(last.as_mut(), &waker).is_ready());
}

/// Fails if a writer that gives up keeps what it had collected, or those behind it out.
///
/// Control, tried: a `Take` that keeps its part when it is dropped.
#[test]
fn a_writer_that_gives_up_lets_the_readers_pass() {
    let lock = RwLock::new(());
    let waker = Counter::new();
    let _reader = lock.try_read().unwrap();
    let mut writer = Box::pin(lock.write());
    let mut late = Box::pin(lock.read());
    assert!(poll_once(writer.as_mut(), &waker).is_pending());
    assert!(poll_once(late.as_mut(), &waker).is_pending());
    drop(writer);
    assert!(poll_once(late.as_mut(), &waker).is_ready());
    assert!(lock.try_read().is_ok());
}

enum Guard<'a> {
    Read { _guard: RwLockReadGuard<'a, ()> },
    Write(RwLockWriteGuard<'a, ()>),
}

impl Guard<'_> {
    fn writes(&self) -> bool {
        matches!(self, Self::Write(_))
    }
}

type Wait<'a> = Pin<Box<dyn Future<Output = Guard<'a>> + 'a>>;

fn wait(lock: &RwLock<()>, write: bool) -> Wait<'_> {
    Box::pin(async move {
        if write {
            Guard::Write(lock.write().await)
        } else {
            let guard = lock.read().await;
            Guard::Read { _guard: guard }
        }
    })
}

/// 10,000 random schedules of four waits that are polled, dropped and served in any order. Fails if
/// a drop does not pass permits on, or if somebody has the lock beside a writer.
///
/// Controls, tried: a `Take` that keeps what it was granted; a writer that gives back one permit of all.
#[test]
fn a_wait_dropped_at_any_point_loses_nothing() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let lock = RwLock::with_max_readers((), 3);
        let waker = Counter::new();
        let mut held: Vec<Guard<'_>> = Vec::new();
        let mut waits: Vec<_> = (0..4)
            .map(|_| Some(wait(&lock, random.below(2) == 0)))
            .collect();
        for _ in 0..16 {
            let slot = random.below(6) as usize;
            match waits.get_mut(slot) {
                None if held.is_empty() => {}
                None => {
                    let guard = held.swap_remove(random.below(held.len() as u64) as usize);
                    if let Guard::Write(guard) = guard
                        && random.below(2) == 0
                    {
                        let _guard = guard.downgrade();
                        held.push(Guard::Read { _guard });
                    }
                }
                Some(wait) if random.below(4) == 0 => *wait = None,
                Some(wait) => {
                    let Some(future) = wait else { continue };
                    if let Poll::Ready(guard) = poll_once(future.as_mut(), &waker) {
                        held.push(guard);
                        *wait = None;
                    }
                }
            }
            let writers = held.iter().filter(|guard| guard.writes()).count();
            assert!(writers == 0 || held.len() == 1, "seed {seed}");
        }
        held.clear();
        // Whoever is left is served in turn.
        let mut pending: Vec<_> = waits.into_iter().flatten().collect();
        while !pending.is_empty() {
            let before = pending.len();
            pending.retain_mut(|wait| poll_once(wait.as_mut(), &waker).is_pending());
            assert!(pending.len() < before, "permits are lost, seed {seed}");
        }
        assert!(lock.try_write().is_ok(), "it is not unlocked, seed {seed}");
    }
}

/// Fails if a reader sees a half done change, or two write at a time.
///
/// Controls, tried: a `grant` that gives the same permits twice; a writer that gives back one permit of all.
#[test]
fn threads_exclude_each_other() {
    const THREADS: u64 = 4;
    const ROUNDS: usize = 4_000;
    let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let mut random = Rng::new(seed);
                for _ in 0..ROUNDS {
                    if random.below(4) == 0 {
                        let mut given_up = wait_any(&lock, random.below(2) == 0);
                        let _ = poll_once(given_up.as_mut(), &Counter::new());
                    }
                    let mut writer = block_on(lock.write());
                    writer.0 += 1;
                    if random.below(8) == 0 {
                        std::thread::yield_now();
                    }
                    writer.1 += 1;
                    if random.below(2) == 0 {
                        let seen = writer.0;
                        assert_eq!(writer.downgrade().1, seen);
                    } else {
                        drop(writer);
                    }
                    let reader = block_on(lock.read());
                    assert_eq!(reader.0, reader.1);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(lock.try_read().unwrap().0, THREADS * ROUNDS as u64);
}

fn wait_any(lock: &RwLock<(u64, u64)>, write: bool) -> Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async move {
        if write {
            drop(lock.write().await);
        } else {
            drop(lock.read().await);
        }
    })
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<RwLock<u8>>();
    check::<RwLockReadGuard<'_, u8>>();
    check::<RwLockWriteGuard<'_, u8>>();
    check::<OwnedRwLockReadGuard<u8>>();
    check::<OwnedRwLockWriteGuard<u8>>();
    let lock = RwLock::new(0);
    check_value(lock.read());
    check_value(lock.write());
    check_value(Arc::new(RwLock::new(0)).read_owned());
    check_value(Arc::new(RwLock::new(0)).write_owned());
}

/// Control, tried: a `try_map` that lets go of the permits leaves it unlocked.
#[test]
fn an_owned_writer_of_a_part_keeps_the_whole_locked_and_alive() {
    let lock = Arc::new(RwLock::new((1, Some(2))));
    let writer = Arc::clone(&lock).try_write_owned().unwrap();
    let Ok(mut second) = heist_sync::OwnedRwLockWriteGuard::try_map(writer, |pair| pair.1.as_mut())
    else {
        panic!("it is there");
    };
    assert!(lock.try_read().is_err());
    let weak = Arc::downgrade(&lock);
    drop(lock);
    *second += 1;
    let lock = weak.upgrade().expect("the guard keeps it");
    drop(second);
    assert_eq!(*lock.try_read().unwrap(), (1, Some(3)));
}

/// Control, tried: a `map` that gives the permit back lets the writer in.
#[test]
fn owned_readers_of_a_part_keep_the_whole_locked_and_alive() {
    let lock = Arc::new(RwLock::new((vec![1, 2], "two")));
    let reader = block_on(Arc::clone(&lock).read_owned());
    let Err(reader) = OwnedRwLockReadGuard::try_map(reader, |pair| pair.0.get(7)) else {
        panic!("it has no such part");
    };
    let numbers = OwnedRwLockReadGuard::map(reader, |pair| &pair.0);
    let last = OwnedRwLockReadGuard::try_map(numbers, |numbers| numbers.last()).unwrap();
    assert!(Arc::ptr_eq(OwnedRwLockReadGuard::rwlock(&last), &lock));
    assert!(lock.try_write().is_err() && lock.try_read().is_ok());
    let weak = Arc::downgrade(&lock);
    drop(lock);
    assert_eq!(thread::spawn(move || *last).join().unwrap(), 2);
    assert!(weak.upgrade().is_none(), "dropped with the guard");
}

/// Control, tried: a `downgrade_map` that keeps all permits lets no reader in.
#[test]
fn a_writer_goes_on_as_a_reader_of_a_part() {
    let lock = Arc::new(RwLock::new((1, "two")));
    let mut writer = block_on(lock.write());
    writer.0 = 3;
    let Err(writer) = RwLockWriteGuard::try_downgrade_map(writer, |_| None::<&u8>) else {
        panic!("it has no such part");
    };
    assert!(lock.try_read().is_err(), "it still writes");
    let first = RwLockWriteGuard::downgrade_map(writer, |pair| &pair.0);
    assert_eq!((*first, lock.try_read().unwrap().1), (3, "two"));
    assert!(lock.try_write().is_err());
    drop(first);
    let writer = block_on(Arc::clone(&lock).write_owned());
    let Err(writer) = OwnedRwLockWriteGuard::try_downgrade_map(writer, |_| None::<&u8>) else {
        panic!("it has no such part");
    };
    assert!(lock.try_read().is_err());
    let second = OwnedRwLockWriteGuard::downgrade_map(writer, |pair| &pair.1);
    assert_eq!((*second, lock.try_read().unwrap().0), ("two", 3));
    assert!(lock.try_write().is_err());
    drop(second);
    assert!(lock.try_write().is_ok());
}
