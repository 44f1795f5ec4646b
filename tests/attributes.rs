//! `#[heist::main]` and `#[heist::test]`: what they make of functions that are right. Those that are wrong
//! are in `ui.rs`.

#![cfg(feature = "macros")]

use std::cell::Cell;
use std::fmt::Display;
use std::num::ParseIntError;

use heist::yield_now;

fn workers() -> usize {
    heist::Handle::current().metrics().workers.len()
}

#[heist::test]
async fn a_test_has_one_worker() {
    assert_eq!(workers(), 1);
    yield_now().await;
}

#[heist::test(worker_threads = 3)]
async fn or_as_many_as_it_asks_for() {
    assert_eq!(workers(), 3);
}

#[heist::test(flavor = "multi_thread", worker_threads = 2, profile = "coop")]
async fn the_arguments_combine() {
    assert_eq!(workers(), 2);
}

#[heist::test(flavor = "multi_thread")]
async fn or_what_the_machine_has() {
    let expected = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(workers(), expected);
}

#[heist::test(profile = "pinned")]
async fn a_trailing_comma_is_fine() {
    assert_eq!(heist::spawn(async { 1 }).await.unwrap(), 1);
}

#[heist::test]
async fn a_test_may_return_a_result() -> Result<(), ParseIntError> {
    assert_eq!("7".parse::<i32>()?, 7);
    Ok(())
}

#[heist::test]
#[should_panic(expected = "on purpose")]
async fn a_panic_fails_the_test() {
    yield_now().await;
    panic!("on purpose");
}

#[heist::test]
#[should_panic(expected = "ParseIntError")]
async fn an_error_that_is_unwrapped_does_too() {
    "x".parse::<i32>().unwrap();
}

#[heist::main(worker_threads = 1)]
async fn parsed(text: &str) -> Result<i32, ParseIntError> {
    yield_now().await;
    Ok(text.parse::<i32>()? + 1)
}

#[test]
fn main_makes_any_function_an_ordinary_one() {
    assert_eq!(parsed("41"), Ok(42));
    assert!(parsed("x").is_err());
}

/// What is returned is coerced, as in an `async fn`; without the type in the block this does not compile.
#[heist::main(worker_threads = 1)]
async fn boxed<T: Display + 'static>(value: T) -> Box<dyn Display> {
    Box::new(value)
}

#[heist::main(worker_threads = 1)]
async fn early(n: i32) -> Result<Box<dyn Display>, Box<dyn std::error::Error>> {
    if n < 0 {
        return Err("negative".into());
    }
    Ok(Box::new(n))
}

#[heist::main(worker_threads = 1)]
async fn hidden() -> impl Display {
    7
}

#[test]
fn every_return_type_works() {
    assert_eq!(boxed("text").to_string(), "text");
    assert_eq!(early(3).unwrap().to_string(), "3");
    assert_eq!(early(-3).err().unwrap().to_string(), "negative");
    assert_eq!(hidden().to_string(), "7");
}

#[heist::main(flavor = "current_thread")]
async fn borrows<'a>(cell: &'a Cell<i32>, (left, right): (&'a str, &str)) -> &'a str {
    #![allow(clippy::let_and_return, reason = "inner attributes are the function's")]
    yield_now().await;
    cell.set(cell.get() + right.len() as i32);
    let left = left;
    left
}

#[test]
fn arguments_may_be_borrowed_and_taken_apart() {
    let cell = Cell::new(1);
    assert_eq!(borrows(&cell, ("left", "right")), "left");
    assert_eq!(cell.get(), 6);
}

/// A module in which the crate has another name.
mod renamed {
    use heist as thieves;

    #[thieves::test(crate = "thieves")]
    async fn the_crate_may_have_another_name() {
        thieves::yield_now().await;
    }
}

#[cfg(feature = "test-util")]
mod paused {
    use heist::time::{Duration, Instant, advance, sleep};

    /// Fails if the clock runs.
    #[heist::test(start_paused = true)]
    async fn the_clock_stands_still_and_is_moved_by_hand() {
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(start.elapsed(), Duration::ZERO);
        let sleeper = heist::spawn(sleep(Duration::from_secs(3600)));
        heist::yield_now().await;
        advance(Duration::from_secs(3600)).await;
        sleeper.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(3600));
    }

    #[heist::test(start_paused = true)]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_lets_it_run_again() {
        panic!("on purpose");
    }

    #[heist::test(start_paused = true)]
    async fn it_may_be_resumed() {
        heist::time::resume();
        let start = Instant::now();
        sleep(Duration::from_millis(1)).await;
        assert!(start.elapsed() >= Duration::from_millis(1));
    }

    /// They run beside the paused ones in time, not in fact: without the lock the clock stands still for
    /// some of these, and they never end.
    mod others {
        macro_rules! sleepers {
            ($($name:ident)*) => {$(
                #[heist::test]
                async fn $name() {
                    let start = std::time::Instant::now();
                    for _ in 0..50 {
                        heist::time::sleep(std::time::Duration::from_micros(100)).await;
                    }
                    assert!(start.elapsed() < std::time::Duration::from_secs(20));
                }
            )*};
        }
        sleepers! { sleeper_1 sleeper_2 sleeper_3 sleeper_4 sleeper_5 sleeper_6 }
    }
}
