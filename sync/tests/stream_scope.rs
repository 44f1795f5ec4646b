//! Generators in scopes that are cancelled.

use heist_runtime::{block_on, yield_now};
use heist_sync::stream::{StreamExt, generate};
use heist_sync::time::{Duration, sleep, timeout};
use heist_sync::{cancel_scope, finally};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;

/// A generator that is polled in a cancelled scope unwinds from where it has emitted last.
///
/// Control, tried: an emit that looks at its scope before it hands its value over, but not after, goes on and notes
/// "after the second value".
#[test]
fn a_cancelled_generator_unwinds_from_its_emit() {
    let log = RefCell::new(Vec::new());
    block_on(async {
        let note = |what| log.borrow_mut().push(what);
        let result = cancel_scope(async |scope| {
            let mut stream = pin!(generate(async |y| {
                let values = async {
                    y.emit(1).await;
                    note("after the first value");
                    y.emit(2).await;
                    note("after the second value");
                    pending::<()>().await;
                };
                finally(values, async |_| {
                    yield_now().await;
                    note("cleaned up");
                })
                .await;
            }));
            assert_eq!(stream.next().await, Some(1));
            assert_eq!(stream.next().await, Some(2));
            scope.cancel();
            stream.next().await;
            note("not reached");
        })
        .await;
        assert!(result.is_err());
    });
    assert_eq!(*log.borrow(), ["after the first value", "cleaned up"]);
}

/// Control, tried: an emit that hands its value over in a cancelled scope makes this value arrive there.
#[test]
fn no_value_comes_in_a_cancelled_scope() {
    let received = Cell::new(0);
    block_on(async {
        let result = cancel_scope(async |scope| {
            let mut stream = pin!(generate(async |y| {
                y.emit(1).await;
            }));
            scope.cancel();
            received.set(stream.next().await.unwrap());
        })
        .await;
        assert!(result.is_err());
    });
    assert_eq!(received.get(), 0);
}

/// A body without scopes of its own stays where it is when a wait for its next value times out, or begins in a
/// cancelled scope.
///
/// Control, tried: an emit that forgets its value when it may not start loses one.
#[test]
fn a_wait_that_times_out_loses_nothing() {
    block_on(async {
        let mut stream = pin!(generate(async |y| {
            for i in 0..3 {
                if i > 0 {
                    sleep(Duration::from_millis(5)).await;
                }
                y.emit(i).await;
            }
        }));
        let mut received = Vec::new();
        loop {
            let not_begun = cancel_scope(async |scope| {
                scope.cancel();
                stream.next().await;
            });
            assert!(not_begun.await.is_err());
            match timeout(Duration::from_millis(1), stream.next()).await {
                Ok(Some(i)) => received.push(i),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        assert_eq!(received, [0, 1, 2]);
    });
}
