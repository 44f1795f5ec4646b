//! The pool under growth, idleness, panics, refusals and shutdown.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Task = Box<dyn FnOnce() + Send>;

const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);

fn config(max_threads: usize, keep_alive: Duration) -> PoolConfig {
    PoolConfig {
        max_threads,
        keep_alive,
        thread_name: Arc::new(|| "test-blocking".to_owned()),
        on_thread_start: None,
        on_thread_stop: None,
    }
}

fn pool(max_threads: usize, keep_alive: Duration) -> Pool<Task> {
    Pool::new(config(max_threads, keep_alive))
}

fn submit(pool: &Pool<Task>, job: impl FnOnce() + Send + 'static) {
    assert!(pool.submit(Box::new(job)).is_ok());
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, SeqCst);
}

fn signal(done: &Sender<()>) {
    done.send(()).expect("somebody waits for it");
}

/// Occupies threads until it is dropped.
struct Busy {
    _gate: Arc<()>,
}

fn occupy(pool: &Pool<Task>, threads: usize) -> Busy {
    let gate = Arc::new(());
    let (started, starts) = channel();
    for _ in 0..threads {
        let (gate, started) = (Arc::downgrade(&gate), started.clone());
        submit(pool, move || {
            signal(&started);
            while gate.strong_count() > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    for _ in 0..threads {
        starts.recv_timeout(SOON).expect("the job starts");
    }
    Busy { _gate: gate }
}

#[test]
fn grows_on_demand_up_to_the_bound() {
    let pool = pool(4, LONG);
    assert_eq!(
        pool.metrics(),
        PoolMetrics {
            threads: 0,
            idle: 0,
            queued: 0
        }
    );
    for busy in 1..=4 {
        // All of its jobs start before any ends, so no two of them share a thread.
        let busy_threads = occupy(&pool, busy);
        assert_eq!(
            pool.metrics(),
            PoolMetrics {
                threads: busy,
                idle: 0,
                queued: 0
            }
        );
        drop(busy_threads);
        eventually("all idle again", || pool.metrics().idle == busy);
    }
    let gate = occupy(&pool, 4);
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let done = Arc::clone(&done);
        submit(&pool, move || count(&done));
    }
    assert_eq!(
        pool.metrics(),
        PoolMetrics {
            threads: 4,
            idle: 0,
            queued: 20
        }
    );
    drop(gate);
    eventually("the queue is worked off", || done.load(SeqCst) == 20);
    assert_eq!(pool.shutdown(Instant::now() + SOON), 0);
}

#[test]
fn an_idle_thread_is_used_again() {
    let pool = pool(16, LONG);
    for _ in 0..200 {
        let (done, wait) = channel();
        submit(&pool, move || signal(&done));
        wait.recv_timeout(SOON).expect("the job runs");
        eventually("idle", || pool.metrics().idle == 1);
    }
    assert_eq!(pool.metrics().threads, 1);
}

#[test]
fn idle_threads_exit_and_new_ones_come() {
    let pool = pool(8, Duration::from_millis(20));
    for _ in 0..5 {
        drop(occupy(&pool, 8));
        eventually("all have left", || pool.metrics().threads == 0);
    }
    let state = pool.shared.lock();
    assert!(state.handles.is_empty());
    assert_eq!((state.threads, state.idle, state.leaving), (0, 0, 0));
}

#[test]
fn submitting_just_as_threads_leave_loses_nothing() {
    // Jobs come at about the rate at which the only thread gives up waiting.
    let pool = pool(1, Duration::from_micros(200));
    for round in 0..3_000_u64 {
        let (done, wait) = channel();
        submit(&pool, move || signal(&done));
        wait.recv_timeout(SOON).expect("a job was left waiting");
        let until = Instant::now() + Duration::from_micros(100 + round % 200);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
    // And with no patience at all.
    let pool = self::pool(2, Duration::ZERO);
    for _ in 0..500 {
        let (done, wait) = channel();
        submit(&pool, move || signal(&done));
        wait.recv_timeout(SOON).expect("a job was left waiting");
    }
}

/// A panic payload whose destructor panics too.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("in the destructor of the payload"));
    }
}

#[test]
fn survives_panics_of_jobs_payloads_and_hooks() {
    let explode: Hook = Arc::new(|| std::panic::resume_unwind(Box::new("hook")));
    let pool: Pool<Task> = Pool::new(PoolConfig {
        on_thread_start: Some(Arc::clone(&explode)),
        on_thread_stop: Some(explode),
        ..config(2, LONG)
    });
    for _ in 0..50 {
        submit(&pool, || std::panic::resume_unwind(Box::new(1)));
        submit(&pool, || std::panic::resume_unwind(Box::new(Grenade)));
    }
    let (done, wait) = channel();
    submit(&pool, move || signal(&done));
    wait.recv_timeout(SOON).expect("the pool still works");
    eventually("idle", || pool.metrics().idle == pool.metrics().threads);
    assert!(pool.metrics().threads <= 2);
    assert_eq!(pool.shutdown(Instant::now() + SOON), 0);
}

/// Counts the destructors that run, one of them by unwinding.
struct CountDrop(Arc<AtomicUsize>, bool);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        if self.1 {
            std::panic::resume_unwind(Box::new("in the destructor of a job"));
        }
    }
}

#[test]
fn shutdown_drops_what_is_queued_and_waits_for_what_runs() {
    let pool = Arc::new(pool(2, LONG));
    let gate = occupy(&pool, 2);
    let dropped = Arc::new(AtomicUsize::new(0));
    for n in 0..10 {
        let guard = CountDrop(Arc::clone(&dropped), n == 3);
        submit(&pool, move || {
            std::mem::forget(guard);
            unreachable!("both threads are busy");
        });
    }
    // Two threads are stuck: they are counted, and nothing queued starts afterwards.
    let started = Instant::now();
    assert_eq!(pool.shutdown(started + Duration::from_millis(30)), 2);
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!(dropped.load(SeqCst), 10);

    // Refused jobs come back whole.
    let back = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&back);
    let refused = pool.submit(Box::new(move || count(&counter)));
    let Err(error @ SubmitError::ShutDown(_)) = refused else {
        panic!("accepted after the shutdown");
    };
    (error.into_job())();
    assert_eq!(back.load(SeqCst), 1);

    let waiter = Arc::clone(&pool);
    let second = std::thread::spawn(move || waiter.shutdown(Instant::now() + SOON));
    drop(gate);
    assert_eq!(second.join().expect("no panic"), 0);
    assert_eq!(pool.shutdown(Instant::now()), 0);
}

#[test]
fn dropping_the_pool_sends_its_threads_home() {
    let pool = pool(4, LONG);
    let shared = Arc::downgrade(&pool.shared);
    let gate = occupy(&pool, 4);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = CountDrop(Arc::clone(&dropped), false);
    submit(&pool, move || drop(guard));
    drop(pool);
    assert_eq!(dropped.load(SeqCst), 1);
    drop(gate);
    eventually("the last thread has let go", || shared.strong_count() == 0);
}

#[test]
fn hooks_and_names() {
    let (starts, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (on_start, on_stop) = (Arc::clone(&starts), Arc::clone(&stops));
    let pool: Pool<Task> = Pool::new(PoolConfig {
        thread_name: Arc::new(|| "na\0me".to_owned()),
        on_thread_start: Some(Arc::new(move || count(&on_start))),
        on_thread_stop: Some(Arc::new(move || count(&on_stop))),
        ..config(3, LONG)
    });
    let (name, names) = channel();
    submit(&pool, move || {
        name.send(std::thread::current().name().map(str::to_owned))
            .expect("awaited")
    });
    assert_eq!(
        names.recv_timeout(SOON).expect("runs").as_deref(),
        Some("name")
    );
    drop(occupy(&pool, 3));
    assert_eq!(pool.shutdown(Instant::now() + SOON), 0);
    assert_eq!((starts.load(SeqCst), stops.load(SeqCst)), (3, 3));
}

#[test]
fn a_refusal_of_threads_is_an_error_only_without_any() {
    let pool = pool(4, LONG);
    pool.shared.lock().creatable = 0;
    let Err(SubmitError::NoThread(job, error)) = pool.submit(Box::new(|| ())) else {
        panic!("accepted without a thread");
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    job();
    assert_eq!(
        pool.metrics(),
        PoolMetrics {
            threads: 0,
            idle: 0,
            queued: 0
        }
    );

    pool.shared.lock().creatable = 1;
    let gate = occupy(&pool, 1);
    let (done, wait) = channel();
    submit(&pool, move || signal(&done));
    assert_eq!(
        pool.metrics(),
        PoolMetrics {
            threads: 1,
            idle: 0,
            queued: 1
        }
    );
    drop(gate);
    wait.recv_timeout(SOON).expect("the one thread gets to it");
}

#[test]
fn jobs_may_submit_jobs_and_hooks_may_too() {
    let pool: Arc<Pool<Task>> = Arc::new(pool(3, Duration::from_millis(5)));
    let done = Arc::new(AtomicUsize::new(0));

    fn spread(pool: &Arc<Pool<Task>>, done: &Arc<AtomicUsize>, depth: usize) {
        let (inner, count) = (Arc::clone(pool), Arc::clone(done));
        let job = move || {
            count.fetch_add(1, SeqCst);
            if depth > 0 {
                spread(&inner, &count, depth - 1);
                spread(&inner, &count, depth - 1);
            }
        };
        assert!(pool.submit(Box::new(job)).is_ok());
    }

    spread(&pool, &done, 10);
    eventually("the whole tree ran", || done.load(SeqCst) == (1 << 11) - 1);
}

#[test]
fn many_submitters_and_short_lives() {
    let most = Arc::new(AtomicUsize::new(0));
    let running = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let pool = Arc::new(pool(5, Duration::from_micros(50)));
    let submitters: Vec<_> = (0..8)
        .map(|n| {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            std::thread::spawn(move || {
                for k in 0..2_500 {
                    let (done, running) = (Arc::clone(&done), Arc::clone(&running));
                    let most = Arc::clone(&most);
                    submit(&pool, move || {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        running.fetch_sub(1, SeqCst);
                        done.fetch_add(1, SeqCst);
                        if k % 97 == n {
                            std::panic::resume_unwind(Box::new(()));
                        }
                    });
                    if k % 50 == 0 {
                        std::thread::sleep(Duration::from_micros(120));
                    }
                }
            })
        })
        .collect();
    for submitter in submitters {
        submitter.join().expect("no panic");
    }
    eventually("every job ran", || done.load(SeqCst) == 20_000);
    assert!(
        most.load(SeqCst) <= 5,
        "more jobs at a time than threads allowed"
    );
    assert_eq!(pool.shutdown(Instant::now() + SOON), 0);
    assert_eq!(
        pool.metrics(),
        PoolMetrics {
            threads: 0,
            idle: 0,
            queued: 0
        }
    );
}

#[test]
fn submitting_during_a_shutdown_runs_or_refuses_or_drops() {
    for _ in 0..200 {
        let pool = Arc::new(pool(2, LONG));
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (inner, runs, drops) = (Arc::clone(&pool), Arc::clone(&ran), Arc::clone(&dropped));
        let submitter = std::thread::spawn(move || {
            for _ in 0..100 {
                let (runs, guard) = (Arc::clone(&runs), CountDrop(Arc::clone(&drops), false));
                let _ = inner.submit(Box::new(move || {
                    runs.fetch_add(1, SeqCst);
                    drop(guard);
                }));
            }
        });
        assert_eq!(pool.shutdown(Instant::now() + SOON), 0);
        let ran_by_then = ran.load(SeqCst);
        submitter.join().expect("no panic");
        assert_eq!(dropped.load(SeqCst), 100, "each job's destructor ran once");
        assert_eq!(
            ran.load(SeqCst),
            ran_by_then,
            "no job ran after the shutdown"
        );
    }
}
