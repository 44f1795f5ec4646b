//! A runtime stays with the process that has built it: what a child by `fork(2)` does with it is refused with a clear error, and
//! disturbs the parent in no case.

#![expect(unsafe_code, reason = "fork, waitpid and _exit")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::{Builder, Runtime};

mod common;

use common::Watchdog;

/// How a child has ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
}

/// Runs `work` in a child. It exits with 0 if that returns true, and with 1 if it does not or panics.
fn in_child(work: impl FnOnce() -> bool) -> End {
    // SAFETY: the child runs what is given here and leaves by `_exit`. All it shares with threads that it does not have is the
    // allocator, which glibc makes usable after a fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        // A child that hangs fails the test too.
        // SAFETY: it takes a number.
        unsafe { libc::alarm(20) };
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: it ends the process at once.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` a place for a number.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child, "{}", std::io::Error::last_os_error());
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    }
}

fn runtime() -> Runtime {
    let built = Builder::new().worker_threads(2).build();
    built.expect("a runtime")
}

/// A few round trips over TCP.
async fn echo() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = heist::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        while let Some(bytes) = stream.recv().await.expect("bytes") {
            stream.write_all(&bytes).await.expect("room");
        }
    });
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut back = [0; 4];
    for _ in 0..20 {
        stream.write_all(b"ping").await.expect("room");
        stream.read_exact(&mut back).await.expect("an echo");
    }
    drop(stream);
    server.await.is_ok() && &back == b"ping"
}

fn panics_of_fork(work: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else {
        return false;
    };
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
    message.is_some_and(|message| message.contains("child by `fork`"))
}

/// A server that becomes a daemon after it has built its runtime is told so.
///
/// Control, tried: neither a look at the process nor `MADV_DONTFORK`. The child is aborted, and the parent too: it finds a completion
/// for a slot that has moved on.
#[test]
fn a_child_cannot_block_on_the_parents_runtime() {
    let _watchdog = Watchdog::new("a_child_cannot_block_on_the_parents_runtime", 60);
    let runtime = runtime();
    assert!(runtime.block_on(echo()));
    let handle = runtime.handle();
    let end = in_child(|| {
        panics_of_fork(|| assert!(runtime.block_on(echo())))
            && panics_of_fork(|| assert!(handle.block_on(echo())))
    });
    assert_eq!(end, End::Exit(0));
    assert!(runtime.block_on(echo()));
}

/// The threads that it would wait for are not there, and neither is the ring.
///
/// Control, tried: as above. The child is aborted.
#[test]
fn dropping_it_in_a_child_does_nothing() {
    let _watchdog = Watchdog::new("dropping_it_in_a_child_does_nothing", 60);
    let runtime = runtime();
    let listening = runtime.spawn(async { TcpListener::bind("127.0.0.1:0").await });
    let mut runtime = Some(runtime);
    let mut second = Some(self::runtime());
    let end = in_child(|| {
        drop(runtime.take());
        let report = second
            .take()
            .expect("it is there")
            .shutdown(Duration::from_secs(5));
        report.stuck_workers == 2 && !report.is_clean()
    });
    assert_eq!(end, End::Exit(0));
    let runtime = runtime.expect("that was another's");
    assert!(runtime.block_on(listening).expect("a task").is_ok());
    assert!(runtime.block_on(echo()));
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
}

/// What a child may do: build a runtime of its own.
#[test]
fn a_child_has_a_runtime_of_its_own() {
    let _watchdog = Watchdog::new("a_child_has_a_runtime_of_its_own", 60);
    let runtime = runtime();
    assert!(runtime.block_on(echo()));
    let end = in_child(|| {
        let own = self::runtime();
        own.block_on(echo()) && own.shutdown(Duration::from_secs(5)).is_clean()
    });
    assert_eq!(end, End::Exit(0));
    assert!(runtime.block_on(echo()));
}

/// A child that goes on inside async code would run the loop of its parent's worker, on the same queues.
///
/// Control, tried: the mapping of a ring without `MADV_DONTFORK`. The child goes on until the kernel refuses its enter, and the
/// parent waits for ever for what was taken from it.
#[test]
fn a_child_inside_async_code_takes_nothing_from_its_parent() {
    let _watchdog = Watchdog::new(
        "a_child_inside_async_code_takes_nothing_from_its_parent",
        60,
    );
    let runtime = runtime();
    for _ in 0..20 {
        runtime.block_on(async {
            let before = heist::spawn(echo());
            // SAFETY: the child does nothing but what it would have done without a fork, which is what is tested.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: it takes a number.
                unsafe { libc::alarm(20) };
                echo().await;
                // SAFETY: it ends the process at once.
                unsafe { libc::_exit(0) };
            }
            assert!(echo().await && before.await.expect("a task"));
            let waited = heist::spawn_blocking(move || {
                let mut status = 0;
                // SAFETY: the child is ours, and `status` a place for a number.
                let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
                (ended, status)
            });
            let (ended, status) = waited.await.expect("it waits");
            assert_eq!(ended, child);
            assert!(
                libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV,
                "the child has ended otherwise: {status:#x}"
            );
        });
    }
}
