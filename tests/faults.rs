//! Faults of the kernel, injected by `strace` into a real run: a set-up that fails is a typed error, within a
//! second, that names the remedy; an `io_uring_enter` that fails every third time loses nothing. And a user
//! with little lockable memory is served, or told what to raise.
//!
//! Where `strace` is missing or may not trace, the tests say so and pass.
//!
//! Negative control: without injection the same program reports success, and with a fault that the
//! runtime has no answer to it does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "limits and users are system calls")]

mod common;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::{Watchdog, builder, child, finish_within, role, said};
use heist::net::{TcpListener, TcpStream};
use heist::time::{sleep, timeout};
use heist::{BuildError, Driver, RingProfile, Runtime, ops, spawn, spawn_blocking};

/// Long enough for a program under `strace` on a loaded machine; a hang is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether `strace` can inject faults here.
fn can_inject() -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    command.args(["-e", "inject=io_uring_setup:error=ENOSYS", "true"]);
    match command.output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("skipped: strace cannot trace here: {}", said(&output));
            false
        }
        Err(error) => {
            eprintln!("skipped: no strace: {error}");
            false
        }
    }
}

/// Runs the part `role` of [`helper`] with `injection`.
fn run_with(injection: &str, role: &str) -> Output {
    let inject = format!("inject={injection}");
    let trace = format!("trace={}", injection.split(':').next().unwrap());
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let mut command = child(&strace, "helper", role);
    finish_within(PATIENCE, command.env_remove("HEIST_DRIVER"))
}

/// The last words of [`helper`] after `mark`.
fn told(output: &Output, mark: &str) -> Option<String> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find_map(|line| line.split_once(mark));
    line.map(|(_, rest)| rest.to_owned())
}

/// Not a test: the program that the tests run under `strace`.
#[test]
fn helper() {
    match role().as_deref() {
        Some("build") => report_build(Driver::Uring, RingProfile::Defer),
        Some("build coop") => report_build(Driver::Uring, RingProfile::Coop),
        Some("build auto") => report_build(Driver::Auto, RingProfile::Defer),
        Some("work") => work(Driver::Uring, RingProfile::Defer),
        Some("work coop") => work(Driver::Uring, RingProfile::Coop),
        Some("work poll") => work(Driver::Poll, RingProfile::Defer),
        Some("memlock") => {
            become_a_poor_user();
            report_build(Driver::Uring, RingProfile::Defer);
        }
        _ => {}
    }
}

/// Builds a runtime, says how that went and how long it took; a runtime has to work.
fn report_build(driver: Driver, profile: RingProfile) {
    let start = Instant::now();
    let built = builder(2, profile).driver(driver).build();
    let took = start.elapsed().as_millis();
    match built {
        Ok(runtime) => {
            runtime.block_on(echo());
            println!("BUILT in {took} on {:?}", runtime.metrics().driver);
            println!(
                "AGAIN {:?}",
                builder(1, profile).driver(driver).build().is_ok()
            );
        }
        Err(error) => println!("FAILED in {took} as {}: {error}", kind(&error)),
    }
}

fn kind(error: &BuildError) -> &'static str {
    match (
        error.is_denied(),
        error.is_unsupported(),
        error.is_resource_limit(),
    ) {
        (true, false, false) => "denied",
        (false, true, false) => "unsupported",
        (false, false, true) => "limit",
        _ => "unclear",
    }
}

/// A few messages there and back.
async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Some(bytes) = stream.recv().await.unwrap() {
            stream.write_all(&bytes).await.unwrap();
        }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    for round in 0..20_u8 {
        stream.write_all(&[round; 200]).await.unwrap();
        let mut back = [0; 200];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, [round; 200]);
        sleep(Duration::from_micros(200)).await;
    }
    drop(stream);
    server.await.unwrap();
}

/// Echoes, timers, timeouts around receives, files and closures; then the end.
fn work(driver: Driver, profile: RingProfile) {
    let builder = builder(2, profile).driver(driver);
    let runtime = builder.ring_entries(8).build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..8 {
            tasks.push(spawn(echo()));
            tasks.push(spawn(async {
                for _ in 0..20 {
                    sleep(Duration::from_micros(500)).await;
                }
            }));
            tasks.push(spawn(async {
                let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
                let fd = ops::SharedFd::new(here.into());
                for _ in 0..10 {
                    let receive = ops::recv(&fd, vec![0; 10], 0);
                    assert!(timeout(Duration::from_micros(500), receive).await.is_err());
                }
            }));
            tasks.push(spawn(async {
                let options = ops::OpenOptions::new().read(true);
                let file = ops::open("/proc/version", options).unwrap().await.unwrap();
                let (count, _) = ops::read_at(&file, vec![0; 100], 0).await;
                assert!(count.unwrap() > 0);
                assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    println!("BUSY {}", runtime.metrics().total().enter_busy);
    end_with_some_in_flight(runtime);
}

fn end_with_some_in_flight(runtime: Runtime) {
    let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
    let fd = ops::SharedFd::new(here.into());
    runtime.block_on(async {
        for _ in 0..50 {
            drop(spawn(ops::recv(&fd, vec![0; 10], 0)));
        }
        sleep(Duration::from_millis(1)).await;
    });
    let report = runtime.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{report:?}");
    println!("DONE");
}

/// Limits the lockable memory to 64 KiB and gives up root, which the limit does not bind.
fn become_a_poor_user() {
    const NOBODY: libc::uid_t = 65534;
    let limit = libc::rlimit {
        rlim_cur: 64 << 10,
        rlim_max: 64 << 10,
    };
    // SAFETY: the structure is valid for the call.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    assert_eq!(limited, 0);
    // SAFETY: takes a number.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: takes a number. The C library changes all threads.
        assert_eq!(unsafe { libc::setuid(NOBODY) }, 0);
    }
}

/// Insists on a failure of a kind whose message has `remedy`, at once.
fn fails_with(injection: &str, role: &str, expected: &str, remedy: &str) {
    let output = run_with(injection, role);
    let told = told(&output, "FAILED in ")
        .unwrap_or_else(|| panic!("{injection}: no error was told: {}", said(&output)));
    let (took, rest) = told.split_once(" as ").unwrap();
    assert!(
        rest.starts_with(expected) && rest.contains(remedy),
        "{injection}: expected {expected}, {remedy}; told {rest}"
    );
    // The promise is a second; `strace` and the neighbours may cost one more.
    let took: u64 = took.parse().unwrap();
    assert!(took < 2000, "{injection}: the error took {took} ms");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_failed_set_up_names_the_remedy() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("a_failed_set_up_names_the_remedy", 120);
    let cases = [
        ("EPERM", "denied", "io_uring_disabled"),
        ("EACCES", "denied", "seccomp"),
        ("ENOSYS", "unsupported", "6.1"),
        ("EINVAL", "unsupported", "6.1"),
        ("ENOMEM", "limit", "ulimit -l"),
        ("EMFILE", "limit", "ulimit -n"),
        ("ENFILE", "limit", "ulimit -n"),
    ];
    for (error, kind, remedy) in cases {
        let injection = format!("io_uring_setup:error={error}");
        fails_with(&injection, "build", kind, remedy);
    }
    fails_with(
        "io_uring_setup:error=EPERM",
        "build coop",
        "denied",
        "seccomp",
    );
}

/// Where there is no ring, epoll takes its place, and one warning names the cause and the remedy. Control: what is told
/// with [`Driver::Uring`], above.
#[test]
fn without_a_ring_epoll_takes_its_place() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("without_a_ring_epoll_takes_its_place", 120);
    let steps = [
        ("io_uring_setup:error=EPERM", "seccomp"),
        ("io_uring_setup:error=ENOSYS", "6.1"),
        ("io_uring_setup:error=ENOMEM:when=2+", "ulimit -l"),
        ("io_uring_register:error=EPERM", "seccomp"),
    ];
    for (step, remedy) in steps {
        let output = run_with(step, "build auto");
        let built = told(&output, "BUILT in ");
        let is_on_poll = built.is_some_and(|built| built.ends_with(" on Poll"));
        assert!(is_on_poll, "{step}: {}", said(&output));
        assert_eq!(told(&output, "AGAIN ").as_deref(), Some("true"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let warnings = stderr.lines().filter(|line| line.starts_with("heist: "));
        // With the feature `tracing` the event is a subscriber's, of whom there is none.
        let is_told = !cfg!(feature = "tracing");
        assert_eq!(warnings.count(), usize::from(is_told), "{step}: {stderr}");
        assert!(!is_told || stderr.contains(remedy), "{step}: {stderr}");
    }
    let output = run_with("io_uring_setup:error=EMFILE", "build auto");
    let failed = told(&output, "FAILED in ").unwrap_or_else(|| panic!("{}", said(&output)));
    assert!(failed.contains("ulimit -n"), "{failed}");
}

#[test]
fn a_failure_at_any_step_is_an_error_or_harmless() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("a_failure_at_any_step_is_an_error_or_harmless", 120);
    // The trial's ring succeeds, a worker's fails; memory, descriptors and registrations likewise.
    let mut steps = Vec::new();
    for step in 1..=3 {
        steps.push(format!("io_uring_setup:error=ENOMEM:when={step}"));
        steps.push(format!("eventfd2:error=EMFILE:when={step}"));
    }
    for step in 1..=6 {
        steps.push(format!("io_uring_register:error=ENOMEM:when={step}"));
    }
    // The trial enters twice; what is forbidden there is told. Later enters belong to the workers.
    for step in 1..=2 {
        steps.push(format!("io_uring_enter:error=EPERM:when={step}"));
    }
    steps.push("rt_sigaction:error=EINVAL:when=12+".to_owned());
    steps.push("membarrier:error=EPERM".to_owned());
    steps.push("io_uring_register:error=EPERM".to_owned());
    for step in &steps {
        let output = run_with(step, "build");
        let failed = told(&output, "FAILED in ");
        let built = told(&output, "BUILT in ");
        assert!(
            failed.is_some() || built.is_some(),
            "{step}: neither built nor told why: {}",
            said(&output)
        );
        if let Some(failed) = failed {
            let took: u64 = failed.split(' ').next().unwrap().parse().unwrap();
            assert!(took < 2000, "{step}: {failed}");
        }
    }
}

#[test]
fn enters_that_fail_every_third_time_lose_nothing() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("enters_that_fail_every_third_time_lose_nothing", 200);
    for role in ["work", "work coop"] {
        for error in ["EINTR", "EAGAIN", "EBUSY"] {
            let injection = format!("io_uring_enter:error={error}:when=3+3");
            let output = run_with(&injection, role);
            assert!(
                output.status.success() && told(&output, "DONE").is_some(),
                "{role}, {injection}: {}",
                said(&output)
            );
            let busy: u64 = told(&output, "BUSY ").unwrap().parse().unwrap();
            assert!(busy > 0 || error == "EINTR", "nothing was injected");
        }
    }
}

/// The same of what an emulated ring waits with; and a kernel, or a filter, that lacks the newer of the two calls.
#[test]
fn waits_of_an_emulated_ring_that_fail_lose_nothing() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("waits_of_an_emulated_ring_that_fail_lose_nothing", 200);
    for injection in [
        "epoll_wait,epoll_pwait2:error=EINTR:when=3+3",
        "epoll_pwait2:error=ENOSYS",
        "epoll_pwait2:error=EPERM",
        "preadv2:error=EOPNOTSUPP",
    ] {
        let output = run_with(injection, "work poll");
        assert!(
            output.status.success() && told(&output, "DONE").is_some(),
            "{injection}: {}",
            said(&output)
        );
    }
}

#[test]
fn little_lockable_memory_suffices_or_the_remedy_is_told() {
    let _watchdog = Watchdog::new("little_lockable_memory_suffices", 120);
    let output = finish_within(PATIENCE, &mut child(&[], "helper", "memlock"));
    assert!(output.status.success(), "{}", said(&output));
    match told(&output, "FAILED in ") {
        Some(told) => assert!(told.contains("ulimit -l"), "{told}"),
        None => assert!(told(&output, "BUILT in ").is_some(), "{}", said(&output)),
    }
}

#[test]
fn control_the_helper_tells_success_from_failure() {
    if !can_inject() {
        return;
    }
    let _watchdog = Watchdog::new("control_the_helper_tells_success_from_failure", 120);
    let output = run_with("getpid:error=EPERM", "work");
    assert!(told(&output, "DONE").is_some(), "{}", said(&output));
    // The runtime cannot know what an enter that is forbidden half way has lost.
    let output = run_with("io_uring_enter:error=EPERM:when=20+", "work");
    assert!(told(&output, "DONE").is_none(), "{}", said(&output));
    assert!(!output.status.success());
}
