//! Parts of a measurement that have a process of their own.
//!
//! Such a process runs the present executable again, with a variable in its environment that says what
//! it is there for. [`enter`] is the first thing that `main` calls, and in such a process the only one.

use std::{
    env, fs,
    io::{Read, Write},
    os::fd::RawFd,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    contender::Contender,
    meter,
    scenario::{Job, Probe, Setup},
    scenarios::server,
};
#[cfg(feature = "http-clients")]
use crate::{crawl::site, scenarios::http_server};

const VARIABLE: &str = "HEIST_BENCH_CHILD";

/// Whether this process does what it was started for.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Does what this process was started for, and ends it, if it was started by another one of its kind.
///
/// # Panics
///
/// Panics if that fails; the other process reports that this one did.
pub fn enter() {
    let Ok(job) = env::var(VARIABLE) else {
        return;
    };
    ENTERED.store(true, Ordering::Relaxed);
    close_inherited();
    meter::raise_descriptor_limit();
    let answer = match job.split_once(' ') {
        Some(("clients", job)) => server::clients(job).expect("the loopback interface works"),
        Some(("probe", job)) => run_probe(job),
        #[cfg(feature = "http-clients")]
        Some(("site", job)) => site::serve(job),
        #[cfg(feature = "http-clients")]
        Some(("web", job)) => http_server::child(job),
        #[cfg(feature = "http-clients")]
        Some(("load", job)) => http_server::run(job),
        _ => panic!("{VARIABLE} is set, but to nothing that is known here"),
    };
    if !answer.is_empty() {
        // Where the executable is a test, the harness has already begun a line.
        println!("\n{answer}");
    }
    std::process::exit(0);
}

/// Closes what is open beside the standard streams: not every runtime of the parent has its descriptors closed in its
/// children, and they count here.
fn close_inherited() {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let names = open.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers: Vec<RawFd> = names.filter_map(|name| name.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2) {
        // One of them was that of the directory, which is closed already.
        let _ = nix::unistd::close(fd);
    }
}

/// Whether this process was started by another one of its kind.
pub(crate) fn is_child() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Runs a scenario once in a process of its own.
///
/// # Panics
///
/// Panics if that process does, or cannot be started.
#[must_use]
pub fn probe(scenario: &str, contender: Contender, setup: Setup, count_syscalls: bool) -> Probe {
    let job = Job {
        scenario: scenario.to_owned(),
        contender: contender.name().to_owned(),
        setup,
        count_syscalls,
    };
    let job = serde_json::to_string(&job).expect("it has only plain fields");
    let answer = Process::start(&format!("probe {job}")).answer();
    serde_json::from_str(&answer).expect("the process writes what it found")
}

/// What the process does that [`probe`] starts.
fn run_probe(job: &str) -> String {
    let job: Job = serde_json::from_str(job).expect("the parent writes a job");
    if job.count_syscalls {
        meter::count_syscalls();
    }
    let outcome = job.run();
    let probe = Probe {
        peak_memory: outcome.peak_memory.unwrap_or_else(meter::peak_resident),
        outcome,
    };
    serde_json::to_string(&probe).expect("it has only plain fields")
}

/// A process that does a part of the work. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
}

impl Process {
    /// Starts one that is to do `job`.
    pub(crate) fn start(job: &str) -> Self {
        // A process that was started to measure a scenario may need clients of its own; one without `enter`
        // would start itself for ever.
        let entered = ENTERED.load(Ordering::Relaxed);
        assert!(entered || !is_child(), "`main` has to call `enter` first");
        let mut command = Command::new(env::current_exe().expect("/proc is mounted"));
        #[cfg(test)]
        command.args(["--exact", "child::tests::in_a_child", "--nocapture"]);
        #[cfg(feature = "http-clients")]
        site::tell(&mut command);
        let mut child = command
            .env(VARIABLE, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().expect("it is piped"),
            child,
        }
    }

    /// Gives it a sign: one byte of its input.
    pub(crate) fn signal(&mut self) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin.write_all(b"\n").expect("the process lives");
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line that begins with `start`; yields it. `None` if the process ends before.
    #[cfg(feature = "http-clients")]
    pub(crate) fn line(&mut self, start: &str) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            // One byte at a time, so that nothing is taken that comes behind it; lines are short and few.
            if self.stdout.read(&mut byte).ok()? == 0 {
                return None;
            }
            if byte != *b"\n" {
                line.push(byte[0]);
                continue;
            }
            if line.starts_with(start.as_bytes()) {
                return String::from_utf8(line).ok();
            }
            line.clear();
        }
    }

    /// Waits for its end; yields the last line that it wrote.
    pub(crate) fn answer(mut self) -> String {
        self.end_input();
        let mut output = String::new();
        self.stdout
            .read_to_string(&mut output)
            .expect("it writes text");
        let status = self.child.wait().expect("it was started here");
        assert!(status.success(), "a process of the benchmark failed");
        output.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless something failed here, which is what matters then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    /// What [`super::Process::start`] runs in the executable of the tests; nothing otherwise.
    #[test]
    fn in_a_child() {
        super::enter();
    }
}
