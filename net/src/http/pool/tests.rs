//! The pool with numbers for connections: limits, age, fairness, and grants that nobody takes.

use super::hosts::NO_TOKEN;
use super::*;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread;

const OPEN: PoolLimits = PoolLimits {
    open_total: None,
    open_per_host: usize::MAX,
    idle_per_host: usize::MAX,
    idle_total: usize::MAX,
    idle_timeout: None,
};

fn claim(pool: &Arc<Pool<u32>>, host: &str) -> Claim<u32> {
    match pool.checkout(host, false, Instant::now()) {
        Checkout::Claim(claim) => claim,
        Checkout::Wait(_) => panic!("the host has no free slot"),
    }
}

fn open(pool: &Arc<Pool<u32>>, host: &str) -> Slot<u32> {
    match claim(pool, host) {
        Claim::Open(slot) => slot,
        Claim::Reuse(connection, _) => panic!("connection {connection} was idle"),
    }
}

fn reuse(pool: &Arc<Pool<u32>>, host: &str) -> (u32, Slot<u32>) {
    match claim(pool, host) {
        Claim::Reuse(connection, slot) => (connection, slot),
        Claim::Open(_) => panic!("no connection was idle"),
    }
}

fn wait(pool: &Arc<Pool<u32>>, host: &str) -> Waiting<u32> {
    match pool.checkout(host, false, Instant::now()) {
        Checkout::Wait(waiting) => waiting,
        Checkout::Claim(claim) => panic!("{claim:?} although the host is full"),
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiting: &mut Waiting<u32>, count: &Arc<Count>) -> Poll<Claim<u32>> {
    let waker = Waker::from(count.clone());
    Pin::new(waiting).poll(&mut Context::from_waker(&waker))
}

#[test]
fn the_youngest_idle_connection_is_used_first() {
    let pool = Pool::new(OPEN);
    let slots = [open(&pool, "a"), open(&pool, "a")];
    for (number, slot) in (1..).zip(slots) {
        let keeper = slot.check_in(NO_TOKEN, number, Instant::now());
        assert_eq!(keeper.is_some(), number == 1, "one keeper is enough");
    }
    assert_eq!(pool.counts("a"), (2, 2, 0));
    let (first, _slot_1) = reuse(&pool, "a");
    let (second, _slot_2) = reuse(&pool, "a");
    assert_eq!((first, second), (2, 1));
    let _other_host = open(&pool, "b");
    assert_eq!(pool.counts("a"), (2, 0, 0));
}

/// The negative control is a pool that takes the youngest.
#[test]
fn a_connection_stays_with_its_thread() {
    let pool = Pool::new(OPEN);
    let (ours, theirs) = (open(&pool, "a"), open(&pool, "a"));
    ours.check_in(NO_TOKEN, 1, Instant::now());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            theirs.check_in(NO_TOKEN, 2, Instant::now());
        });
        other.join().expect("it does not panic");
    });
    let (first, _slot_1) = reuse(&pool, "a");
    let (second, _slot_2) = reuse(&pool, "a");
    assert_eq!((first, second), (1, 2), "another's rather than a new one");
}

#[test]
fn a_host_without_connections_is_forgotten() {
    let pool = Pool::new(PoolLimits {
        idle_per_host: 0,
        ..OPEN
    });
    open(&pool, "a").check_in(NO_TOKEN, 1, Instant::now());
    drop(open(&pool, "b"));
    assert!(lock(&pool.state).hosts.is_empty());
}

#[test]
fn idle_limits_are_exact() {
    let pool = Pool::new(PoolLimits {
        idle_per_host: 2,
        idle_total: 3,
        ..OPEN
    });
    let a = [open(&pool, "a"), open(&pool, "a"), open(&pool, "a")];
    for (number, slot) in (1..).zip(a) {
        slot.check_in(NO_TOKEN, number, Instant::now());
    }
    assert_eq!(pool.counts("a"), (2, 2, 0));
    let b = [open(&pool, "b"), open(&pool, "b")];
    for (number, slot) in (11..).zip(b) {
        slot.check_in(NO_TOKEN, number, Instant::now());
    }
    // The fourth idle connection pushed out the oldest of all, which was 1.
    assert_eq!((pool.counts("a").1, pool.counts("b").1), (1, 2));
    assert_eq!(reuse(&pool, "a").0, 2);
}

#[test]
fn expired_connections_are_closed_when_met_and_when_reaped() {
    let pool = Pool::new(PoolLimits {
        idle_timeout: Some(Duration::from_millis(20)),
        ..OPEN
    });
    assert!(matches!(pool.evict(), Chore::End));
    assert!(
        open(&pool, "a")
            .check_in(NO_TOKEN, 1, Instant::now())
            .is_some(),
        "the first idle connection asks for a keeper"
    );
    let slot = open(&pool, "b");
    assert!(
        slot.check_in(NO_TOKEN, 2, Instant::now()).is_none(),
        "and only the first"
    );
    assert!(matches!(pool.evict(), Chore::Rest(Some(_))));
    std::thread::sleep(Duration::from_millis(30));
    drop(open(&pool, "a"));
    assert_eq!(pool.counts("b"), (1, 1, 0));
    assert!(matches!(pool.evict(), Chore::End));
    assert_eq!(pool.counts("b"), (0, 0, 0));
    assert!(
        open(&pool, "b")
            .check_in(NO_TOKEN, 3, Instant::now())
            .is_some(),
        "the keeper has ended and is asked for again"
    );
}

#[test]
fn a_fresh_claim_replaces_an_idle_connection_within_the_limit() {
    let pool = Pool::new(PoolLimits {
        open_per_host: 1,
        ..OPEN
    });
    open(&pool, "a").check_in(NO_TOKEN, 1, Instant::now());
    let Checkout::Claim(Claim::Open(slot)) = pool.checkout("a", true, Instant::now()) else {
        panic!("the idle connection's slot was not reused");
    };
    assert_eq!(pool.counts("a"), (1, 0, 0));
    drop(slot);
    assert_eq!(pool.counts("a"), (0, 0, 0));
}

#[test]
fn waiters_are_served_in_their_order() {
    let pool = Pool::new(PoolLimits {
        open_per_host: 2,
        ..OPEN
    });
    let count = Arc::new(Count::default());
    let first_slot = open(&pool, "a");
    let second_slot = open(&pool, "a");
    let mut first = wait(&pool, "a");
    let mut second = wait(&pool, "a");
    assert!(poll(&mut first, &count).is_pending() && poll(&mut second, &count).is_pending());
    first_slot.check_in(NO_TOKEN, 7, Instant::now());
    // It is not idle: a newcomer queues behind the others.
    let third = wait(&pool, "a");
    assert!(poll(&mut second, &count).is_pending());
    let Poll::Ready(Claim::Reuse(7, slot)) = poll(&mut first, &count) else {
        panic!("the first waiter did not get the connection");
    };
    drop(second_slot);
    let Poll::Ready(Claim::Open(_)) = poll(&mut second, &count) else {
        panic!("the second waiter did not get the slot");
    };
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    drop((third, slot));
}

#[test]
fn a_dropped_waiter_passes_its_grant_on() {
    let pool = Pool::new(PoolLimits {
        open_per_host: 1,
        ..OPEN
    });
    let count = Arc::new(Count::default());
    let slot = open(&pool, "a");
    let first = wait(&pool, "a");
    let second = wait(&pool, "a");
    let mut third = wait(&pool, "a");
    drop(first);
    assert_eq!(pool.counts("a"), (1, 0, 2));
    // Granted but dropped before it looked.
    slot.check_in(NO_TOKEN, 9, Instant::now());
    drop(second);
    let Poll::Ready(Claim::Reuse(9, slot)) = poll(&mut third, &count) else {
        panic!("the connection was lost");
    };
    let fourth = wait(&pool, "a");
    let mut fifth = wait(&pool, "a");
    drop(slot);
    drop(fourth);
    let Poll::Ready(Claim::Open(slot)) = poll(&mut fifth, &count) else {
        panic!("the slot was lost");
    };
    drop(slot);
    assert_eq!(pool.counts("a"), (0, 0, 0));
}

#[test]
fn threads_never_exceed_the_limit_and_lose_no_slot() {
    const THREADS: usize = 4;
    let pool = Pool::new(PoolLimits {
        open_per_host: 2,
        idle_per_host: 1,
        ..OPEN
    });
    let in_use = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let (pool, in_use) = (&pool, &in_use);
            scope.spawn(move || {
                for round in 0..5000 {
                    let claim = match pool.checkout("a", round % 5 == 0, Instant::now()) {
                        Checkout::Claim(claim) => claim,
                        // Every third waiter gives up, at a random moment.
                        Checkout::Wait(waiting) if (round + number) % 3 == 0 => {
                            drop(waiting);
                            continue;
                        }
                        Checkout::Wait(waiting) => block_on(waiting),
                    };
                    assert!(in_use.fetch_add(1, Ordering::SeqCst) < 2, "three in use");
                    if round % 7 == 0 {
                        std::thread::yield_now();
                    }
                    in_use.fetch_sub(1, Ordering::SeqCst);
                    match claim {
                        Claim::Reuse(connection, slot) if round % 2 == 0 => {
                            slot.check_in(NO_TOKEN, connection, Instant::now());
                        }
                        Claim::Open(slot) if round % 4 != 0 => {
                            slot.check_in(NO_TOKEN, 1, Instant::now());
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    let (open, idle, waiters) = pool.counts("a");
    assert_eq!((open, waiters), (idle, 0));
}

fn block_on(mut waiting: Waiting<u32>) -> Claim<u32> {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(claim) => return claim,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn an_idle_connection_that_calls_is_looked_at() {
    let pool = Pool::new(PoolLimits {
        open_per_host: 2,
        ..OPEN
    });
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let slots = [open(&pool, "a"), open(&pool, "a")];
    let host = slots[0].host().expect("it is new");
    for (number, slot) in (1..).zip(slots) {
        slot.check_in(number, number as u32, Instant::now());
    }
    let Chore::Rest(None) = pool.next_chore(&waker) else {
        panic!("nothing has called");
    };
    pool.bell().ring(host, 1);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    let Chore::Look(mut taken) = pool.next_chore(&waker) else {
        panic!("the call was not heard");
    };
    assert_eq!((*taken.connection(), pool.counts("a")), (1, (2, 1, 0)));
    // Put back it is the oldest again, so the other is used first.
    taken.put_back();
    assert_eq!(pool.counts("a"), (2, 2, 0));
    let (second, _slot) = reuse(&pool, "a");
    assert_eq!(second, 2);
    // One that is in use, and one that nobody knows, are nothing to look at.
    pool.bell().ring(host, 2);
    pool.bell().ring(HostId::new(9), 1);
    assert!(matches!(pool.next_chore(&waker), Chore::Rest(None)));
    // While it is looked at somebody queues, and gets it, or its slot.
    for close in [false, true] {
        pool.bell().ring(host, 1);
        let Chore::Look(taken) = pool.next_chore(&waker) else {
            panic!("the call was not heard");
        };
        let mut waiting = wait(&pool, "a");
        assert!(poll(&mut waiting, &count).is_pending());
        if close {
            taken.close();
        } else {
            taken.put_back();
        }
        match poll(&mut waiting, &count) {
            Poll::Ready(Claim::Reuse(1, slot)) if !close => {
                slot.check_in(1, 1, Instant::now());
            }
            Poll::Ready(Claim::Open(_)) if close => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pool.counts("a"), (1, 0, 0));
    assert!(matches!(pool.next_chore(&waker), Chore::End));
}

/// Two hosts in turn, and one in the place of another that is forgotten.
///
/// Control, tried: the last host is taken without a look at its name.
#[test]
fn the_last_host_is_not_taken_for_another() {
    let pool: Arc<Pool<u32>> = Pool::new(OPEN);
    let first = open(&pool, "a");
    let second = open(&pool, "b");
    assert_ne!(first.host(), second.host());
    let again = open(&pool, "a");
    assert_eq!(first.host(), again.host());
    let place = again.host();
    drop((first, again));
    let other = open(&pool, "c");
    assert_eq!(other.host(), place, "its place is used again");
    let back = open(&pool, "a");
    assert_ne!(back.host(), other.host());
    assert_eq!(pool.counts("c").0, 1);
}
