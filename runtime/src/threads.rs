//! The threads of workers 1 and up.

#![expect(unsafe_code, reason = "thread ids and affinity are system calls")]

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use crate::error::BuildError;
use crate::panics::abort_on_unwind;
use crate::scheduler::worker::{NoRoot, Worker};
use crate::trace;

/// The calling thread as the kernel numbers it.
pub(crate) fn current_thread_id() -> i32 {
    // SAFETY: the call takes no arguments.
    unsafe { libc::gettid() }
}

/// Makes waits of the calling thread end when they are due: the default slack of 50 us would delay every
/// timer.
fn tighten_timer_slack() {
    // SAFETY: `PR_SET_TIMERSLACK` takes a number of nanoseconds.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64) };
}

/// Binds the calling thread to the `index`-th CPU it may run on, counted round.
fn bind_to_cpu(index: usize) {
    let mut allowed = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the set is valid memory of the size given.
    if unsafe { libc::sched_getaffinity(0, size, allowed.as_mut_ptr()) } < 0 {
        return;
    }
    // SAFETY: zeroed is a valid set, and the call filled it.
    let allowed = unsafe { allowed.assume_init() };
    let is_allowed = |&cpu: &usize| {
        // SAFETY: `cpu` is below the number of bits of the set.
        unsafe { libc::CPU_ISSET(cpu, &allowed) }
    };
    let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect();
    let Some(&cpu) = cpus.get(index % cpus.len().max(1)) else {
        return;
    };
    // SAFETY: an all-zero set is an empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    // SAFETY: the set is valid memory of the size given. A failure leaves the thread unbound.
    unsafe { libc::sched_setaffinity(0, size, &raw const one) };
}

/// Starts the thread of `worker` and waits until it has its ring.
pub(crate) fn start(worker: Worker) -> Result<thread::JoinHandle<()>, BuildError> {
    let (sender, opened) = mpsc::sync_channel(1);
    let name = (worker.shared().config.thread_name)();
    let handle = thread::Builder::new()
        .name(name)
        .spawn(move || run(worker, &sender))
        .map_err(BuildError::thread)?;
    match opened.recv() {
        Ok(Ok(())) => Ok(handle),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(BuildError::setting(
            "a thread start hook panicked".to_owned(),
        )),
    }
}

fn run(worker: Worker, opened: &mpsc::SyncSender<Result<(), BuildError>>) {
    let config = worker.shared().config.clone();
    if config.affinity {
        bind_to_cpu(worker.index());
    }
    tighten_timer_slack();
    if let Some(hook) = &config.on_thread_start {
        hook();
    }
    let open = worker.driver().open(config.ring);
    let failed = open.is_err();
    if !failed {
        worker.driver().ring().register_descriptor();
    }
    let open = open.map_err(|error| BuildError::ring_of(config.ring, error, "ring of a worker"));
    let remote = worker.driver().remote();
    remote.thread.store(current_thread_id(), Ordering::Release);
    worker.note_cpu();
    if !failed {
        worker.arrive();
    }
    // The builder waits for this message; it cannot have gone.
    drop(opened.send(open));
    if failed {
        return;
    }
    let index = worker.index();
    abort_on_unwind(index, || {
        worker.enter(|| {
            trace::worker_started(index);
            worker.run(&NoRoot);
        });
    });
    worker.depart();
    drop(worker);
    if let Some(hook) = &config.on_thread_stop {
        hook();
    }
    trace::worker_stopped(index);
}
