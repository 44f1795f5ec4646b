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
