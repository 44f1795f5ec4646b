//! Cancellation that unwinds, while other threads cancel and wake.

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::finally;
use heist_runtime::scope::{Reason, Scope, catch, shield};
use heist_runtime::task::AbortHandle;
use heist_runtime::{Builder, spawn, yield_now};

/// Polls a future only when the waker that it gives it was called, as `FuturesUnordered` does with its members. That
/// call waits for `gate` before it does anything: a thread that has lost its CPU.
struct Member<F> {
    future: F,
    waker: Arc<LateWaker>,
}

struct LateWaker {
    called: AtomicBool,
    gate: Mutex<Option<mpsc::Receiver<()>>>,
    reached: mpsc::Sender<()>,
    outer: Mutex<Option<Waker>>,
}

impl Wake for LateWaker {
    fn wake(self: Arc<Self>) {
        let gate = self.gate.lock().expect("no panic under it").take();
        if let Some(gate) = gate {
            self.reached.send(()).expect("the test is there");
            gate.recv().expect("it opens");
        }
        self.called.store(true, Ordering::SeqCst);
        let outer = self.outer.lock().expect("no panic under it").take();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

impl<F: Future + Unpin> Future for Member<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let outer = Some(cx.waker().clone());
        *self.waker.outer.lock().expect("no panic under it") = outer;
        if !self.waker.called.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(self.waker.clone());
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }
}

/// A cleanup is woken by a thread that loses its CPU before it has called the waker. However often the scope around is
/// polled meanwhile, the body is not dropped.
///
/// Control, tried: with rounds that count while a wake is under way it is dropped after 64 of them.
#[test]
fn a_wake_that_takes_its_time_is_waited_for() {
    let cleaned_up = Arc::new(AtomicBool::new(false));
    let (open, gate) = mpsc::channel();
    let (reached, has_reached) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let waiting: Arc<Mutex<Option<Waker>>> = Arc::default();
    let waker = Arc::new(LateWaker {
        called: AtomicBool::new(true),
        gate: Mutex::new(None),
        reached,
        outer: Mutex::new(None),
    });
    let scope = Scope::new();
    let member = Member {
        future: Box::pin({
            let (cleaned_up, over) = (cleaned_up.clone(), over.clone());
            let waiting = waiting.clone();
            async move {
                let exit = catch(&Scope::new(), pending::<()>()).await;
                // It borrows, so nobody could take it over.
                shield(poll_fn(|cx| {
                    *waiting.lock().expect("no panic under it") = Some(cx.waker().clone());
                    if over.load(Ordering::SeqCst) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }))
                .await;
                cleaned_up.store(true, Ordering::SeqCst);
                exit.propagate().await
            }
        }),
        waker: waker.clone(),
    };
    let mut body = Box::pin(catch(&scope, member));
    let mut poll = || {
        let mut cx = Context::from_waker(Waker::noop());
        body.as_mut().poll(&mut cx).is_ready()
    };
    assert!(!poll());
    assert!(scope.cancel(Reason::Explicit));
    assert!(!poll() && !poll());
    *waker.gate.lock().expect("no panic under it") = Some(gate);
    let waiting = waiting.lock().expect("no panic under it").take();
    thread::scope(|threads| {
        // Dropped if this fails, so that the thread ends.
        let open = open;
        over.store(true, Ordering::SeqCst);
        threads.spawn(|| waiting.expect("the cleanup has begun").wake());
        has_reached.recv().expect("it is woken");
        for _ in 0..1000 {
            assert!(!poll());
        }
        assert!(!cleaned_up.load(Ordering::SeqCst));
        open.send(()).expect("it waits");
    });
    assert!(poll() || poll());
    assert!(cleaned_up.load(Ordering::SeqCst));
}

/// Resources opened and closed under cancels from other threads, on 1, 2 and 8 workers.
///
/// Control, tried: without the second half of `link` a scope linked while its parent is being cancelled hangs.
#[test]
fn cancels_from_other_threads_lose_no_cleanup() {
    let rounds = if std::env::var_os("HEIST_LONG").is_some() {
        200_000
    } else {
        3_000
    };
    for workers in [1, 2, 8] {
        let runtime = Builder::new()
            .worker_threads(workers)
            .build()
            .expect("a runtime");
        let opened = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let (send, receive) = mpsc::channel::<AbortHandle>();
            let canceller = thread::spawn(move || {
                for (index, task) in receive.into_iter().enumerate() {
                    if index % 3 == 0 {
                        thread::yield_now();
                    }
                    task.cancel();
                }
            });
            for round in 0..rounds {
                let (opened, closed) = (opened.clone(), closed.clone());
                let resource = move |depth: u64| {
                    opened.fetch_add(1, Ordering::Relaxed);
                    let closed = closed.clone();
                    async move {
                        if depth.is_multiple_of(2) {
                            yield_now().await;
                        }
                        closed.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let task = spawn(async move {
                    let outer = resource(round);
                    finally(
                        async move {
                            yield_now().await;
                            let inner = resource(round + 1);
                            finally(
                                async {
                                    for _ in 0..round % 4 {
                                        yield_now().await;
                                    }
                                },
                                inner,
                            )
                            .await;
                        },
                        outer,
                    )
                    .await;
                });
                send.send(task.abort_handle()).expect("it listens");
                if round % 16 == 0 {
                    drop(task.await);
                }
            }
            drop(send);
            canceller.join().expect("no panic");
        });
        assert!(runtime.shutdown(Duration::from_secs(20)).is_clean());
        let (opened, closed) = (
            opened.load(Ordering::Relaxed),
            closed.load(Ordering::Relaxed),
        );
        assert_eq!(opened, closed, "{workers} workers");
    }
}
