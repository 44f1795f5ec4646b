//! What this kernel can do, tried out rather than looked up: a kernel may know an opcode and still
//! refuse it under seccomp, or lack the combination that matters.

#![expect(unsafe_code, reason = "a trial on a ring of its own")]

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{cqueue, opcode, types};

use crate::driver::buffers::{BufferConfig, BufferPool, BufferRing, GROUP};
use crate::driver::ring::{Ring, RingConfig};
use crate::driver::sys;
use crate::error::BuildError;

/// Finds the set-up flags this kernel takes: `wanted`, with `NO_SQARRAY` (6.6) where it is known.
///
/// # Errors
///
/// The reason why no ring can be had, with its remedy.
pub(crate) fn ring_config(wanted: RingConfig) -> Result<RingConfig, BuildError> {
    let full = RingConfig {
        flags: wanted.flags | sys::SETUP_NO_SQARRAY,
        ..wanted
    };
    match Ring::new(full) {
        Ok(ring) => trial(&ring).map(|()| full),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let ring = Ring::new(wanted).map_err(|error| BuildError::ring(error, "set-up"))?;
            trial(&ring).map(|()| wanted)
        }
        Err(error) => Err(BuildError::ring(error, "set-up")),
    }
}

/// Receives one byte by a multishot receive into a provided buffer ring, the combination that every
/// socket of the runtime relies on.
fn trial(ring: &Ring) -> Result<(), BuildError> {
    let config = BufferConfig {
        size: 4096,
        initial: 2,
        limit: 2,
    };
    let run = || -> io::Result<()> {
        let pool = Arc::new(BufferPool::new(config)?);
        let buffers = BufferRing::new(&pool);
        buffers.register(&pool, ring)?;
        let outcome = receive_one(ring);
        buffers.unregister(ring);
        outcome
    };
    run().map_err(|error| BuildError::ring(error, "multishot receive with provided buffers"))
}

fn receive_one(ring: &Ring) -> io::Result<()> {
    let (mut sender, receiver) = UnixStream::pair()?;
    let entry = opcode::RecvMulti::new(types::Fd(receiver.as_raw_fd()), GROUP)
        .build()
        .user_data(1);
    // SAFETY: this thread created the ring; the entry points to no memory of ours, and the buffers are
    // alive until the operation has ended below.
    unsafe { ring.push(entry) }.map_err(|_| io::ErrorKind::QuotaExceeded)?;
    sender.write_all(b"x")?;
    let first = next_completion(ring)?;
    if first.result() != 1 || !cqueue::more(first.flags()) {
        let error = io::Error::from_raw_os_error(-first.result().min(-1));
        return Err(if first.result() < 0 {
            error
        } else {
            io::ErrorKind::Unsupported.into()
        });
    }
    // End of file ends the operation, so nothing is in flight when the ring and the buffers go.
    drop(sender);
    let last = next_completion(ring)?;
    if cqueue::more(last.flags()) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

fn next_completion(ring: &Ring) -> io::Result<cqueue::Entry> {
    let start = Instant::now();
    let mut batch = Vec::with_capacity(1);
    while start.elapsed() < Duration::from_secs(2) {
        match ring.enter(1, Some(Duration::from_millis(100))) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME)) => {
                return Err(error);
            }
            _ => {}
        }
        // SAFETY: nobody else knows of this ring.
        unsafe { ring.take_completions(&mut batch, |_| false) };
        if let Some(entry) = batch.pop() {
            return Ok(entry);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
