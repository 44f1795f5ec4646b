//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::Queue;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread::{self, JoinHandle};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Explores every interleaving with up to two involuntary switches of threads.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(scenario);
}

fn spawn<R: 'static>(
    queue: &Arc<Queue<u32>>,
    run: impl FnOnce(&Queue<u32>) -> R + 'static,
) -> JoinHandle<R> {
    let queue = Arc::clone(queue);
    thread::spawn(move || run(&queue))
}

/// What a future returns at its first poll; it is dropped after that.
fn once<F: Future>(future: F) -> Option<F::Output> {
    block_on(async {
        let mut future = pin!(future);
        poll_fn(|cx| {
            Poll::Ready(match future.as_mut().poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    })
}

/// Control, tried: a dropped get that drops its item.
#[test]
fn loom_a_cancelled_get_passes_its_item_on() {
    model(|| {
        let queue = Arc::new(Queue::unbounded());
        let canceller = spawn(&queue, |queue| {
            if let Some(item) = once(queue.get()) {
                queue.try_put(item.unwrap()).unwrap();
            }
        });
        let putter = spawn(&queue, |queue| queue.try_put(7).unwrap());
        // If the cancelled one kept the item, this would wait for ever and loom would say so.
        assert_eq!(block_on(queue.get()), Ok(7));
        canceller.join().unwrap();
        putter.join().unwrap();
        assert!(queue.is_empty());
    });
}

/// Control, tried: a get that admits nobody.
#[test]
fn loom_a_cancelled_put_leaves_the_place_to_the_next() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        queue.try_put(0).unwrap();
        let canceller = spawn(&queue, |queue| once(queue.put(1)).is_some());
        let putter = spawn(&queue, |queue| block_on(queue.put(2)).unwrap());
        assert_eq!(block_on(queue.get()), Ok(0));
        let next = block_on(queue.get()).unwrap();
        if next == 1 {
            assert_eq!(block_on(queue.get()), Ok(2));
        }
        let put = canceller.join().unwrap();
        putter.join().unwrap();
        // Admitted between the poll and the drop, or after its end, it may still be there.
        match queue.try_get() {
            Ok(left) => assert_eq!((next, left), (2, 1)),
            Err(_) => assert!(next == 1 || !put),
        }
    });
}

/// Controls, tried: a shutdown that wakes nobody; a put that does not look for it.
#[test]
fn loom_a_shutdown_reaches_everybody() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let getter = spawn(&queue, |queue| block_on(queue.get()).is_ok());
        let putter = spawn(&queue, |queue| block_on(queue.put(1)).is_ok());
        queue.shutdown(true);
        let got = getter.join().unwrap();
        let put = putter.join().unwrap();
        assert!(put || !got);
        assert!(queue.is_empty());
    });
}

/// Control, tried: a `finish` with relaxed ordering.
#[test]
fn loom_a_join_sees_what_was_done() {
    model(|| {
        let queue = Arc::new(Queue::unbounded());
        let done = Arc::new(AtomicUsize::new(0));
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let workers = [(); 2].map(|()| {
            let done = Arc::clone(&done);
            spawn(&queue, move |queue| {
                queue.try_get().unwrap();
                done.fetch_add(1, Relaxed);
                queue.task_done();
            })
        });
        block_on(queue.join());
        assert_eq!(done.load(Relaxed), 2);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
