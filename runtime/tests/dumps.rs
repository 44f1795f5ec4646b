//! The tree of tasks: what is in it, from inside and outside, and beside a stuck worker. Negative control:
//! without the note in `Leaf::pending` no line names this file.

use std::future::pending;
use std::time::Duration;

use heist_runtime::scope::{Scope, catch, shield};
use heist_runtime::task::{self, dump_tasks};
use heist_runtime::time::{Instant, Timer};
use heist_runtime::{Builder, spawn, yield_now};

fn sleep(millis: u64) -> Timer {
    Timer::new(Instant::now() + Duration::from_millis(millis))
}

#[test]
fn a_dump_names_tasks_scopes_and_places() {
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    let handle = runtime.handle();
    runtime.block_on(async {
        let outer = task::Builder::new().name("outer").spawn(async {
            assert_eq!(task::name().as_deref(), Some("outer"));
            assert_eq!(Some(task::id()), task::try_id());
            catch(&Scope::named("request"), shield(sleep(60_000))).await
        });
        let cancelled = task::Builder::new()
            .name("stubborn")
            .spawn(shield(sleep(60_000)));
        sleep(5).await;
        cancelled.cancel();
        yield_now().await;
        let tree = dump_tasks().await;
        let text = tree.to_string();
        assert!(tree.stuck_workers.is_empty(), "{text}");
        for part in [
            "\"outer\"",
            "  request",
            "    shield",
            "dumps.rs",
            "being cancelled",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let outside = std::thread::spawn(move || handle.dump_tasks());
        while !outside.is_finished() {
            sleep(1).await;
        }
        assert!(
            outside
                .join()
                .expect("no panic")
                .to_string()
                .contains("stubborn")
        );
        outer.abort();
        cancelled.abort();
    });
    let absent = runtime.handle();
    drop(runtime.spawn(pending::<()>()));
    // Worker 0 has no thread now, and is answered for.
    assert!(absent.dump_tasks().stuck_workers.is_empty());
}

#[test]
fn a_stuck_worker_is_told() {
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let stuck = spawn(async { std::thread::sleep(Duration::from_millis(1_500)) });
        // It runs here or there; from here on this task must not be the one behind it.
        sleep(50).await;
        let tree = dump_tasks().await;
        let noted = !tree.stuck_workers.is_empty();
        assert!(noted || stuck.is_finished(), "{tree}");
        stuck.await.expect("it ends");
    });
}

#[test]
fn a_signal_prints() {
    let runtime = Builder::new().worker_threads(1).build().expect("a runtime");
    runtime
        .handle()
        .dump_on_signal(libc::SIGUSR2)
        .expect("installed");
    let again = runtime.handle().dump_on_signal(libc::SIGUSR2);
    assert_eq!(
        again.expect_err("taken").kind(),
        std::io::ErrorKind::AlreadyExists
    );
    runtime.block_on(async {
        // Through the command, so that this file needs no unsafe code.
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-USR2", &pid])
            .status();
        assert!(sent.expect("kill runs").success());
        sleep(50).await;
    });
}

/// A signal that cannot be handled is refused each time, and leaves no thread behind.
///
/// Controls, tried: a thread that waits although no handler was installed is found; a bell that is not given back lets
/// the second call say that the signal is taken.
#[test]
fn a_signal_that_is_refused_leaves_nothing_behind() {
    let runtime = Builder::new().worker_threads(1).build().expect("a runtime");
    for _ in 0..4 {
        let refused = runtime.handle().dump_on_signal(libc::SIGKILL);
        let kind = refused.expect_err("it cannot be handled").kind();
        assert_eq!(kind, std::io::ErrorKind::InvalidInput);
    }
    let left = || {
        let threads = std::fs::read_dir("/proc/self/task").expect("the threads");
        let names = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("comm");
            std::fs::read_to_string(path).unwrap_or_default()
        });
        names.filter(|name| name.trim() == "heist-dump").count()
    };
    // They have begun by then. That of the other test may be there.
    std::thread::sleep(Duration::from_millis(30));
    for _ in 0..1_000 {
        if left() <= 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} threads are left", left());
}

/// Tasks below tasks, deeper than the stack that looks at them.
///
/// Control, tried: a dump that recurses overflows the stack.
#[test]
fn a_dump_of_a_deep_tree_needs_no_deep_stack() {
    const DEPTH: usize = 1_500;
    let runtime = Builder::new().worker_threads(1).build().expect("a runtime");
    let small = std::thread::Builder::new().stack_size(192 * 1024);
    let run = move || {
        runtime.block_on(async {
            let top = spawn(async {
                let mut scope = Scope::named("top");
                let below = scope.clone();
                let dig = async move {
                    for _ in 0..DEPTH {
                        let (sender, receiver) = std::sync::mpsc::channel();
                        let builder = task::Builder::new().scope(&scope);
                        drop(builder.spawn(async move {
                            let inner = Scope::named("inner");
                            let below = inner.clone();
                            let body = async {
                                sender.send(below).expect("it is asked for");
                                pending::<()>().await;
                            };
                            drop(catch(&inner, body).await);
                        }));
                        scope = loop {
                            match receiver.try_recv() {
                                Ok(scope) => break scope,
                                Err(_) => yield_now().await,
                            }
                        };
                    }
                    dump_tasks().await
                };
                catch(&below, dig).await
            });
            let heist_runtime::scope::Exit::Value(tree) = top.await.expect("it ends") else {
                panic!("it was not cancelled");
            };
            let text = tree.clone().to_string();
            assert_eq!(text, tree.to_string());
            assert_eq!(text.matches("inner").count(), DEPTH);
        });
    };
    small
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no panic");
}
