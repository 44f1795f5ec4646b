//! Real children: `sh`, `cat`, `sleep`, `true`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use heist_net::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use heist_process::{Child, ChildStdin, Command};
use heist_runtime::{Builder, spawn};
use heist_sync::Semaphore;
use heist_sync::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(10);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(future)
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// The state of a process, as a letter: `Z` for a zombie. `None` when there is none.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits, at most 10 s, until there is no such process, not even a zombie.
async fn gone(pid: u32) {
    for _ in 0..5000 {
        if state(pid).is_none() {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("process {pid} is there: {:?}", state(pid));
}

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

#[test]
fn status_and_output() {
    block_on(async {
        assert_eq!(sh("exit 7").status().await.unwrap().code(), Some(7));
        assert_eq!(sh("kill -9 $$").status().await.unwrap().signal(), Some(9));
        let output = sh("echo out; echo err >&2; exit 3").output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&output.stdout[..], &output.stderr[..]),
            (&b"out\n"[..], &b"err\n"[..])
        );
        let none = Command::new("/no/such/program").status().await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        let none = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn commands_are_as_they_were_made() {
    block_on(async {
        let mut command = sh("echo $0-$ONE-$TWO-$THREE; pwd");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
            .envs([("ONE", "1"), ("TWO", "2"), ("THREE", "3")])
            .env_remove("TWO");
        command.arg("zero").current_dir("/usr").stdin(Stdio::null());
        let output = command.output().await.unwrap();
        assert_eq!(output.stdout, b"zero-1--3\n/usr\n");
        let mut named = Command::new("sh");
        let named = named.arg0("another").args(["-c", "cat /proc/$$/cmdline"]);
        assert!(
            named
                .output()
                .await
                .unwrap()
                .stdout
                .starts_with(b"another\0")
        );
        let mut alone = sh("ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat; echo $$");
        let output = alone.process_group(0).output().await.unwrap().stdout;
        let output = String::from_utf8(output).unwrap();
        let (group, id) = output.trim().split_once('\n').unwrap();
        assert_eq!(group.trim(), id);
        assert!(!command.get_kill_on_drop());
        assert_eq!(command.as_std().get_program(), "sh");
        let mut std = std::process::Command::new("true");
        std.arg("x");
        let mut back = Command::from(std);
        back.as_std_mut().env("A", "b");
        assert!(back.status().await.unwrap().success());
        assert_eq!(back.into_std().get_args().count(), 1);
        // Only root may become somebody else.
        let mut other = sh("id -u; id -g");
        match other.uid(65534).gid(65534).output().await {
            Ok(output) => assert_eq!(output.stdout, b"65534\n65534\n"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
    });
}

#[test]
fn pipes_both_ways() {
    block_on(async {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let sends = spawn(async move {
            for i in 0..20_000 {
                input
                    .write_all(format!("line {i}\n").as_bytes())
                    .await
                    .unwrap();
            }
            input.shutdown().await.unwrap();
            input
        });
        let mut lines = child.stdout.take().unwrap().lines();
        for i in 0..20_000 {
            assert_eq!(lines.next_line().await.unwrap(), Some(format!("line {i}")));
        }
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert!(child.wait().await.unwrap().success());
        let mut input = sends.await.unwrap();
        assert_eq!(
            input.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

/// One that writes more than a pipe holds waits for its reader. Control, tried: `wait_with_output` that waits before it reads.
#[test]
fn large_outputs_and_closed_inputs() {
    block_on(async {
        let mut command = sh("head -c 1000000 /dev/zero; head -c 500000 /dev/zero >&2; cat >&2");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let output = timeout(Duration::from_secs(20), child.wait_with_output()).await;
        let output = output.unwrap().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (1_000_000, 500_000)
        );
        // A reader of its input sees the end when it is waited for.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
        let mut child = sh("exec <&-; sleep 0.02")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input: ChildStdin = child.stdin.take().unwrap();
        let mut refused = Ok(());
        while refused.is_ok() {
            refused = input.write_all(&[0; 10_000]).await;
        }
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::BrokenPipe);
        child.wait().await.unwrap();
    });
}

#[test]
fn a_pipeline() {
    block_on(async {
        let mut first = sh("echo b; echo a; echo c")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let between: Stdio = first.stdout.take().unwrap().try_into().unwrap();
        let second = Command::new("sort").stdin(between).output().await.unwrap();
        assert_eq!(second.stdout, b"a\nb\nc\n");
        assert!(first.wait().await.unwrap().success());
    });
}

/// A wait that is dropped or cancelled loses nothing. Control, tried: a wait that has the process for itself.
#[test]
fn a_wait_is_cancelled_and_begun_again() {
    block_on(async {
        let mut child = sh("read line; exit 5")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let pid = child.id().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        for _ in 0..5 {
            timeout(SHORT, child.wait()).await.unwrap_err();
        }
        let shared = Arc::new(heist_sync::Mutex::new(child));
        let there = shared.clone();
        let task = spawn(async move { there.lock().await.wait().await });
        sleep(SHORT).await;
        task.cancel_and_join().await.unwrap_err();
        let mut child = shared.lock().await;
        input.write_all(b"go\n").await.unwrap();
        for _ in 0..3 {
            assert_eq!(child.wait().await.unwrap().code(), Some(5));
            assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(5));
            assert_eq!(child.id(), None);
        }
        assert_eq!(state(pid), None);
        child.start_kill().unwrap();
        child.send_signal(15).unwrap();
    });
}

#[test]
fn kills_and_signals() {
    block_on(async {
        let mut child = sleeper().spawn().unwrap();
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        let mut child = sleeper().spawn().unwrap();
        child.start_kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        let mut child = sh("trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done");
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .await
            .unwrap();
        assert_eq!(
            child.send_signal(1000).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        child.send_signal(15).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(4));
    });
}

/// Control, tried: a `Drop` of `Child` that does not kill.
#[test]
fn kill_on_drop_kills() {
    block_on(async {
        let child = sleeper().kill_on_drop(true).spawn().unwrap();
        let pid = child.id().unwrap();
        drop(child);
        gone(pid).await;
        // So does a task that is cancelled while it waits.
        let (tells, told) = heist_sync::oneshot::channel();
        let task = spawn(async move {
            let mut child = sleeper().kill_on_drop(true).spawn().unwrap();
            tells.send(child.id().unwrap()).unwrap();
            child.wait().await
        });
        let pid = told.await.unwrap();
        task.cancel_and_join().await.unwrap_err();
        gone(pid).await;
        let output = sleeper().kill_on_drop(true).output();
        timeout(SHORT, output).await.unwrap_err();
    });
}

/// Control, tried: a `Drop` of `Child` that leaves it alone.
#[test]
fn no_zombie_remains_of_one_that_is_dropped() {
    block_on(async {
        // Starting twenty takes a while on a busy machine, and the first must not have ended by then.
        let children: Vec<Child> = (0..20).map(|_| sh("sleep 0.5").spawn().unwrap()).collect();
        let pids: Vec<u32> = children.iter().map(|child| child.id().unwrap()).collect();
        drop(children);
        assert!(pids.iter().all(|pid| state(*pid).is_some()), "they run on");
        for pid in pids {
            gone(pid).await;
        }
    });
}

/// Dropped without a runtime, or in one that ends before the child: the next start reaps it. Control, tried: a
/// start without `sweep`.
#[test]
fn no_zombie_remains_of_a_runtime_that_has_ended() {
    let (within, outside) = block_on(async {
        let within = sh("sleep 0.05").spawn().unwrap();
        let outside = sh("sleep 0.05").spawn().unwrap();
        let pid = within.id().unwrap();
        drop(within);
        sleep(SHORT).await;
        (pid, outside)
    });
    let pid = outside.id().unwrap();
    drop(outside);
    std::thread::sleep(Duration::from_millis(300));
    // Another test may have started one meanwhile.
    block_on(async {
        assert!(Command::new("true").status().await.unwrap().success());
        gone(within).await;
        gone(pid).await;
    });
}

#[test]
fn a_thousand_children() {
    block_on(async {
        let (places, ended) = (Arc::new(Semaphore::new(50)), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let tasks: Vec<_> = (0..1000_usize)
            .map(|i| {
                let (places, ended) = (places.clone(), ended.clone());
                spawn(async move {
                    let _place = places.acquire().await.unwrap();
                    let status = if i % 10 == 0 {
                        sh(&format!("exit {}", i % 256)).status().await.unwrap()
                    } else {
                        Command::new("true").status().await.unwrap()
                    };
                    let expected = if i % 10 == 0 { i % 256 } else { 0 };
                    assert_eq!(status.code(), Some(expected as i32));
                    ended.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(ended.load(Ordering::SeqCst), 1000);
        eprintln!("1,000 children in {:?}", began.elapsed());
    });
}

/// Many that run at once are waited for without a thread each.
#[test]
fn waiting_takes_no_threads() {
    block_on(async {
        let mut children: Vec<Child> = (0..100).map(|_| sleeper().spawn().unwrap()).collect();
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let waits = children
            .iter_mut()
            .map(|child| timeout(SHORT * 3, child.wait()));
        let waits = heist_sync::join_all(waits);
        let counts = async {
            sleep(SHORT).await;
            threads()
        };
        let (waited, during) = heist_sync::join!(waits, counts);
        assert!(waited.iter().all(Result::is_err));
        // Other tests run beside this one.
        assert!(during < before + 50, "{before} {during}");
        for child in &mut children {
            child.kill().await.unwrap();
        }
    });
}
