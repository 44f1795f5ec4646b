//! The thread that waits for signals, and who is told of which.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::FORBIDDEN;
use signal_hook::iterator::{Handle, Signals};

use crate::watch;

/// The last real-time signal.
const LAST: i32 = 64;

/// Made by the first who listens; never goes away, since a handler cannot be taken back.
static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

struct Listener {
    /// Adds signals to those that the thread waits for.
    thread: Handle,
    /// By number.
    told: HashMap<i32, watch::Sender<()>>,
}

fn listener() -> MutexGuard<'static, Option<Listener>> {
    LISTENER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is told, as a change, of each signal of this number from now on.
pub(super) fn subscribe(signal: i32) -> io::Result<watch::Receiver<()>> {
    if FORBIDDEN.contains(&signal) || !(1..=LAST).contains(&signal) {
        let text = format!("signal {signal} cannot be handled; listen for another one");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut listener = listener();
    let listener = match &mut *listener {
        Some(listener) => listener,
        none => none.insert(start()?),
    };
    // Before the handler, which may run at once: the thread finds whom to tell.
    let is_new = !listener.told.contains_key(&signal);
    let sender = listener
        .told
        .entry(signal)
        .or_insert_with(|| watch::Sender::new(()));
    let receiver = sender.subscribe();
    if is_new && let Err(error) = listener.thread.add_signal(signal) {
        listener.told.remove(&signal);
        return Err(error);
    }
    Ok(receiver)
}

fn start() -> io::Result<Listener> {
    let nothing_yet: [i32; 0] = [];
    let mut signals = Signals::new(nothing_yet)?;
    let handle = signals.handle();
    thread::Builder::new()
        .name("heist-signals".to_owned())
        .spawn(move || signals.forever().for_each(tell))?;
    Ok(Listener {
        thread: handle,
        told: HashMap::new(),
    })
}

fn tell(signal: i32) {
    let told = listener().as_ref().and_then(|listener| {
        let sender = listener.told.get(&signal)?;
        Some(sender.clone())
    });
    // Without the lock: this wakes tasks.
    if let Some(told) = told {
        told.send_replace(());
    }
}
