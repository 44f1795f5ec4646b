//! `select!`: its syntax, and what happens to the branches.

#![cfg(feature = "macros")]

mod common;

use common::block_on;
use heist_sync::time::{Duration, Instant, interval, sleep, timeout};
use heist_sync::{AsyncClose, How, mpsc, select, using};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn handlers_are_a_part_of_the_code_around() {
    async fn run() -> Result<u32, ()> {
        let mut rounds = 0;
        let sum = loop {
            rounds += 1;
            select! {
                n = ready(rounds) => {
                    if n < 3 {
                        continue;
                    }
                    break n + ready(1).await;
                }
                () = pending() => unreachable!(),
            }
        };
        let text: Result<u32, ()> = select! { r = ready(Ok(sum)) => r };
        select! { biased; Err(()) = ready(text) => Err(())?, Ok(n) = ready(text) => Ok(n) }
    }
    assert_eq!(block_on(run()), Ok(4));
}

/// Control, tried: with a `chance::below` that returns 0 one side always wins.
#[test]
fn chance_decides_unless_it_is_biased() {
    block_on(async {
        let mut firsts = 0;
        for _ in 0..1_000 {
            firsts += select! { _ = ready(()) => 1, _ = ready(()) => 0 };
        }
        assert!((300..700).contains(&firsts), "{firsts}");
        for _ in 0..100 {
            let first = select! { biased; _ = ready(()) => 1, _ = ready(()) => 2 };
            assert_eq!(first, 1);
        }
    });
}

/// Control, tried: with the pattern of the handler in place of its shape, the `mut` ones do not compile.
#[test]
fn patterns_choose_and_take() {
    #[derive(Debug)]
    struct Point {
        x: String,
        y: u8,
    }
    const SEVEN: u8 = 7;
    block_on(async {
        let point = Point {
            x: "x".into(),
            y: 1,
        };
        let x = select! { Point { mut x, y: 1..=3 } = ready(point) => { x.push('!'); x } };
        assert_eq!(x, "x!");
        let (mut a, ref b) = (String::from("a"), 1);
        a.push('b');
        let taken = select! { biased;
            None = ready(Some(1)) => 0,
            SEVEN = ready(8_u8) => 0,
            Some(&n) = ready(Some(b)) => n,
        };
        assert_eq!((a.as_str(), taken), ("ab", 1));
        let whole =
            select! { all @ (_, [first, .., _last]) = ready((1, [1, 2, 3])) => (all, first) };
        assert_eq!(whole, ((1, [1, 2, 3]), 1));
    });
}

/// Control, tried: a `Branch` that makes the future in any case panics on the `None`.
#[test]
fn conditions_switch_branches_off() {
    block_on(async {
        let missing: Option<u32> = std::hint::black_box(None);
        let otherwise = select! {
            n = ready(missing.unwrap()), if missing.is_some() => n,
            Some(n) = ready(None), if true => n,
            else => 5,
        };
        assert_eq!(otherwise, 5);
        // The condition looks at what the future before it borrows.
        let mut counter = 0;
        let counted = select! {
            biased;
            n = async { counter += 1; counter } => n,
            _ = ready(()), if counter == 0 => unreachable!(),
        };
        assert_eq!(counted, 1);
        assert_eq!(select! { else => 3 }, 3);
    });
    let nothing = || {
        block_on(async {
            select! { _ = ready(()), if false => () }
        })
    };
    let payload = catch_unwind(AssertUnwindSafe(nothing)).expect_err("it panics");
    let message = payload.downcast_ref::<&str>().expect("a message");
    assert!(message.contains("switched off"), "{message}");
}

/// Control, tried: with a probe that always says `Owned` the timeout within is unwound, and panics at the next poll.
#[test]
fn what_is_lent_goes_on_in_the_next_round() {
    heist_runtime::block_on(async {
        let started = Instant::now();
        let mut nap = pin!(sleep(50 * SHORT));
        let mut job = pin!(async {
            timeout(5 * SHORT, pending::<()>())
                .await
                .expect_err("endless");
            sleep(SHORT).await;
            7
        });
        let mut ticks = interval(SHORT);
        let (mut ticked, mut done) = (0, None);
        loop {
            select! {
                () = &mut nap => break,
                n = job.as_mut(), if done.is_none() => done = Some(n),
                _ = ticks.tick() => ticked += 1,
                () = async { timeout(SHORT / 2, pending::<()>()).await.unwrap_or(()) } => {}
            }
        }
        assert_eq!(done, Some(7));
        assert!(ticked >= 3, "{ticked}");
        assert!(started.elapsed() >= 50 * SHORT);
    });
}

/// Control, tried: with a `decide` that returns as soon as there is a decision the handler comes before the close.
#[test]
fn the_handler_runs_after_the_cleanup_of_the_losers() {
    struct Resource(Arc<Mutex<Vec<&'static str>>>);
    impl AsyncClose for Resource {
        async fn close(self, _: How) {
            sleep(SHORT).await;
            self.0.lock().expect("no panic under it").push("closed");
        }
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    heist_runtime::block_on(async {
        select! {
            () = sleep(SHORT) => log.lock().expect("no panic under it").push("handler"),
            () = using(Resource(log.clone()), async |_: &mut Resource| pending().await) => {}
        }
    });
    assert_eq!(
        *log.lock().expect("no panic under it"),
        ["closed", "handler"]
    );
}

/// Control, tried: with losers that are polled on (see `race.rs`) items are lost.
#[test]
fn a_receive_that_loses_takes_no_item() {
    heist_runtime::block_on(async {
        const ITEMS: u32 = 2_000;
        let (sender, mut receiver) = mpsc::channel(4);
        let sending = heist_runtime::spawn(async move {
            for item in 0..ITEMS {
                sender.send(item).await.expect("the receiver waits");
                heist_runtime::yield_now().await;
            }
        });
        let mut received = 0;
        loop {
            select! {
                () = heist_runtime::yield_now() => {}
                () = async { timeout(SHORT, heist_runtime::yield_now()).await.unwrap_or(()) } => {}
                item = receiver.recv() => match item {
                    Some(item) => {
                        assert_eq!(item, received);
                        received += 1;
                    }
                    None => break,
                },
            }
        }
        assert_eq!(received, ITEMS);
        sending.await.expect("it sends");
    });
}

#[test]
fn branches_may_borrow_and_change_threads() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let text = String::from("borrowed");
    let length = send(async {
        select! { n = async { text.len() } => n, () = pending() => 0 }
    });
    assert_eq!(
        std::thread::scope(|s| s.spawn(|| block_on(length)).join().expect("no panic")),
        8
    );
    let log = RefCell::new(Vec::new());
    let winner = Cell::new(0);
    block_on(async {
        select! {
            winner_of = async { log.borrow_mut().push(1); 1 } => winner.set(winner_of),
            () = pending() => log.borrow_mut().clear(),
        }
    });
    assert_eq!((winner.get(), log.into_inner()), (1, vec![1]));
}
