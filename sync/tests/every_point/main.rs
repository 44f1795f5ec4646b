//! Cancel at every point: every public async function of this crate is cancelled and dropped at every poll,
//! alone and in pairs, and afterwards everything is as if it had never been called.
//!
//! `points` has the list, which `complete` compares with the sources. (The methods of streams are those of
//! `stream_cancel.rs`.)

mod complete;
mod points;

use heist_runtime::scope::{Exit, Reason, Scope, catch};
use heist_runtime::yield_now;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Something to wait for.
struct World {
    /// Waits for it once.
    wait: Box<dyn Fn() -> Boxed>,
    /// Does what one of those who wait may need.
    step: Box<dyn Fn()>,
    /// Whether everything is in its place when nobody waits.
    is_good: Box<dyn Fn() -> bool>,
}

impl World {
    fn new<S: 'static, F: Future<Output = ()> + 'static>(
        state: S,
        wait: fn(Rc<S>) -> F,
        step: fn(&S),
        is_good: fn(&S) -> bool,
    ) -> Self {
        let state = Rc::new(state);
        let (of_wait, of_step) = (Rc::clone(&state), Rc::clone(&state));
        Self {
            wait: Box::new(move || Box::pin(wait(Rc::clone(&of_wait)))),
            step: Box::new(move || step(&of_step)),
            is_good: Box::new(move || is_good(&state)),
        }
    }
}

struct Point {
    /// The file and the function, as `complete` finds them.
    name: &'static str,
    world: fn() -> World,
}

/// One who waits in a scope of its own.
struct Waiter {
    scope: Scope,
    future: Option<Pin<Box<dyn Future<Output = Exit<()>>>>>,
}

impl Waiter {
    fn new(world: &World) -> Self {
        let scope = Scope::new();
        Self {
            future: Some(Box::pin(catch(&scope, (world.wait)()))),
            scope,
        }
    }

    /// Polls it once. Returns whether it has ended, now or before.
    async fn poll(&mut self) -> bool {
        let Some(future) = &mut self.future else {
            return true;
        };
        let exit = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        // For the tasks and cleanups that belong to it.
        yield_now().await;
        if let Poll::Ready(exit) = exit {
            assert!(!matches!(exit, Exit::Panicked(_)), "it panicked");
            self.future = None;
        }
        self.future.is_none()
    }

    async fn end(mut self, cancel: bool) {
        if cancel {
            self.scope.cancel(Reason::Explicit);
            let mut polls = 0;
            while !self.poll().await {
                polls += 1;
                assert!(polls < 10_000, "it does not unwind");
            }
        }
    }
}

/// One that comes later gets what it wants, and then nothing is missing.
async fn check(world: World, what: &str) {
    let mut later = Waiter::new(&world);
    let mut rounds = 0;
    while !later.poll().await {
        (world.step)();
        rounds += 1;
        assert!(rounds < 10_000, "{what}: nobody gets anything any more");
    }
    while !(world.is_good)() {
        yield_now().await;
        rounds += 1;
        assert!(rounds < 10_000, "{what}: something is missing");
    }
}

/// Every order of up to four polls and steps.
async fn alone(point: &Point) {
    for length in 0..=4 {
        for order in 0..1_u32 << length {
            for cancel in [false, true] {
                let world = (point.world)();
                let mut waiter = Waiter::new(&world);
                for at in 0..length {
                    if order & (1 << at) == 0 {
                        waiter.poll().await;
                    } else {
                        (world.step)();
                    }
                }
                waiter.end(cancel).await;
                let what = format!("{}, {order:b} of {length}, cancel: {cancel}", point.name);
                check(world, &what).await;
            }
        }
    }
}

async fn in_pairs(point: &Point, seed: u64) {
    let mut random = Rng(seed);
    let world = (point.world)();
    let mut waiters = vec![Waiter::new(&world), Waiter::new(&world)];
    while !waiters.is_empty() {
        let at = random.below(waiters.len() as u64) as usize;
        match random.below(8) {
            0 => waiters.swap_remove(at).end(false).await,
            1 => waiters.swap_remove(at).end(true).await,
            2..4 => (world.step)(),
            _ => drop(waiters[at].poll().await),
        }
    }
    check(world, &format!("{}, seed {seed}", point.name)).await;
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Control, tried once: a `Drop` of the semaphore's wait that keeps what it was given.
#[test]
fn every_point_alone() {
    heist_runtime::block_on(async {
        for point in points::all() {
            alone(&point).await;
        }
    });
}

/// Control, tried: as above.
#[test]
fn every_point_in_pairs() {
    let long = std::env::var_os("HEIST_LONG").is_some();
    let schedules = if long { 10_000 } else { 300 };
    heist_runtime::block_on(async {
        for point in points::all() {
            for seed in 0..schedules {
                in_pairs(&point, seed).await;
            }
        }
    });
}
