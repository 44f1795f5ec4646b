//! Ctrl-C: the first stops the crawl cleanly, the second ends the program at once.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::StopHandle;

/// Listens for SIGINT and SIGTERM on a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct Interrupt {
    listener: Handle,
    received: Arc<AtomicI32>,
}

impl Interrupt {
    pub(crate) fn listen(crawl: StopHandle) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let listener = signals.handle();
        let received = Arc::new(AtomicI32::new(0));
        let first = Arc::clone(&received);
        thread::Builder::new()
            .name("crawl-signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if first.swap(signal, Ordering::Relaxed) != 0 {
                        process::exit(exit_status(signal).into());
                    }
                    crawl.stop();
                }
            })?;
        Ok(Self { listener, received })
    }

    /// The exit status that tells which signal arrived; `None` without one.
    pub(crate) fn exit_status(&self) -> Option<u8> {
        match self.received.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(exit_status(signal)),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.close();
    }
}

/// What a shell reports for a program that a signal ended.
fn exit_status(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}
