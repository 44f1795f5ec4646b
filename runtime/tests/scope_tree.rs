//! The tree of scopes and tasks: who is below whom, and what stays of those who end.

mod common;

use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use common::{finally, sleep};
use heist_runtime::scope::{Exit, Reason, Scope, catch};
use heist_runtime::{block_on, yield_now};

#[test]
fn a_task_below_a_scope_is_cancelled_with_it_across_tasks() {
    block_on(async {
        let scope = Scope::new();
        let closed = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let closed = closed.clone();
                heist_runtime::task::Builder::new()
                    .scope(&scope)
                    .spawn(finally(pending::<()>(), async move {
                        sleep(1).await;
                        closed.fetch_add(1, Ordering::SeqCst);
                    }))
            })
            .collect();
        sleep(2).await;
        scope.cancel(Reason::Sibling);
        for task in tasks {
            let error = task.await.expect_err("cancelled");
            assert_eq!(error.reason(), Some(Reason::Sibling));
        }
        assert_eq!(closed.load(Ordering::SeqCst), 50);
    });
}

/// Control, tried: with the parent dropped by the destructor of the node, the stack overflows.
#[test]
fn a_long_line_of_tasks_is_freed_in_a_loop() {
    fn spawn_below(left: u32, end: Arc<AtomicUsize>) {
        if left == 0 {
            end.store(1, Ordering::SeqCst);
            return;
        }
        let scope = Scope::current().expect("in a task");
        let builder = heist_runtime::task::Builder::new().scope(&scope);
        drop(builder.spawn(async move { spawn_below(left - 1, end) }));
    }

    let end = Arc::new(AtomicUsize::new(0));
    block_on(async {
        spawn_below(200_000, end.clone());
        while end.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
    });
}

/// Control, tried: without the look, whoever goes up from there never comes to an end.
#[test]
fn a_scope_cannot_run_below_itself() {
    block_on(async {
        let scope = Scope::new();
        let own = scope.clone();
        let builder = heist_runtime::task::Builder::new().scope(&scope);
        let task = builder.spawn(async move { catch(&own, yield_now()).await });
        assert!(task.await.expect_err("it panics").is_panic());
    });
}

/// Control, tried: without the look in `link_to_current`, the list of the scope around ends at what had been in it;
/// then the sibling is not cancelled.
#[test]
fn a_scope_that_has_ended_and_is_polled_again_leaves_its_siblings_alone() {
    block_on(async {
        let outer = Scope::new();
        let exit = catch(&outer, async {
            let (scope, other) = (Scope::new(), Scope::new());
            let mut sibling = pin!(catch(&scope, pending::<()>()));
            let mut ended = pin!(catch(&other, std::future::ready(())));
            poll_fn(|cx| {
                assert!(sibling.as_mut().poll(cx).is_pending());
                assert!(ended.as_mut().poll(cx).is_ready());
                let again = AssertUnwindSafe(|| ended.as_mut().poll(cx).is_ready());
                assert!(std::panic::catch_unwind(again).is_err());
                Poll::Ready(())
            })
            .await;
            outer.cancel(Reason::Explicit);
            assert!(scope.is_cancelled());
            pending::<()>().await;
        });
        assert!(matches!(exit.await, Exit::Cancelled(_)));
    });
}

/// Control, tried: without the `touch` of a root in `NodeRef::link`, a task that ends at its first poll stays in the
/// list after it was freed; the next one at its address is then linked to itself.
#[test]
fn a_task_below_a_scope_that_never_waits_leaves_it() {
    block_on(async {
        let scope = Scope::new();
        let builder = heist_runtime::task::Builder::new().scope(&scope);
        for round in 0..100 {
            assert_eq!(
                builder.clone().spawn(async move { round }).await.unwrap(),
                round
            );
            drop(builder.clone().spawn_local(async {}));
        }
        yield_now().await;
        let exit = catch(&scope, async {
            scope.cancel(Reason::Explicit);
            pending::<()>().await
        });
        assert!(matches!(exit.await, Exit::Cancelled(Reason::Explicit)));
    });
}
