//! Channels and queues: every item that went in comes out.

use super::Entry;
use crate::World;
use heist_sync::stream::{StreamExt, generate};
use heist_sync::{Mutex, Queue, broadcast, mpsc, oneshot, watch};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// Receivers are shared by a lock, so that two can wait.
struct Mpsc {
    tx: mpsc::Sender<u32>,
    rx: Mutex<mpsc::Receiver<u32>>,
    sent: Cell<usize>,
    received: Cell<usize>,
}

impl Mpsc {
    fn drain(&self) {
        if let Ok(mut rx) = self.rx.try_lock() {
            while rx.try_recv().is_ok() {
                self.received.set(self.received.get() + 1);
            }
        }
    }

    fn is_good(&self) -> bool {
        self.drain();
        let capacity = self.tx.is_closed() || self.tx.capacity() == self.tx.max_capacity();
        self.sent == self.received && capacity
    }

    fn send_one(&self) {
        if self.tx.try_send(0).is_ok() {
            self.sent.set(self.sent.get() + 1);
        }
    }
}

fn mpsc(buffer: usize) -> Mpsc {
    let (tx, rx) = mpsc::channel(buffer);
    let counts = (Cell::new(0), Cell::new(0));
    Mpsc {
        tx,
        rx: Mutex::new(rx),
        sent: counts.0,
        received: counts.1,
    }
}

fn receiving<F: Future<Output = ()> + 'static>(wait: fn(Rc<Mpsc>) -> F) -> World {
    World::new(mpsc(8), wait, Mpsc::send_one, Mpsc::is_good)
}

fn sending<F: Future<Output = ()> + 'static>(wait: fn(Rc<Mpsc>) -> F) -> World {
    let full = mpsc(1);
    full.send_one();
    World::new(full, wait, Mpsc::drain, Mpsc::is_good)
}

type Broadcast = (
    broadcast::Sender<u32>,
    Mutex<broadcast::Receiver<u32>>,
    Cell<usize>,
    Cell<usize>,
);

fn broadcast_recv() -> World {
    let (tx, rx) = broadcast::channel(64);
    let state: Broadcast = (tx, Mutex::new(rx), Cell::new(0), Cell::new(0));
    World::new(
        state,
        |state| async move {
            let received = state.1.lock().await.recv().await;
            state.3.set(state.3.get() + usize::from(received.is_ok()));
        },
        |state| {
            // No more than there is room for.
            if state.2.get() < 64 && state.0.send(0).is_ok() {
                state.2.set(state.2.get() + 1);
            }
        },
        |state| {
            let Ok(mut rx) = state.1.try_lock() else {
                return false;
            };
            while rx.try_recv().is_ok() {
                state.3.set(state.3.get() + 1);
            }
            state.2 == state.3
        },
    )
}

fn broadcast_closed() -> World {
    let (tx, rx) = broadcast::channel::<u32>(1);
    World::new(
        (tx, RefCell::new(Some(rx))),
        |state| async move { state.0.closed().await },
        |state| drop(state.1.take()),
        |_| true,
    )
}

type Watch = (watch::Sender<u32>, Mutex<watch::Receiver<u32>>, Cell<bool>);

/// The last field is whether there is a change that nobody was told.
fn watch_state() -> Watch {
    let (tx, rx) = watch::channel(0);
    (tx, Mutex::new(rx), Cell::new(false))
}

fn change(state: &Watch) {
    state.0.send_modify(|value| *value += 1);
    state.2.set(true);
}

fn is_told(state: &Watch) -> bool {
    let rx = state.1.try_lock();
    rx.is_ok_and(|rx| rx.has_changed() == Ok(state.2.get()))
}

fn watch_changed() -> World {
    World::new(
        watch_state(),
        |state| async move {
            let told = state.1.lock().await.changed().await;
            assert!(told.is_ok());
            state.2.set(false);
        },
        change,
        is_told,
    )
}

fn watch_wait_for() -> World {
    World::new(
        watch_state(),
        |state| async move {
            let mut rx = state.1.lock().await;
            assert!(rx.wait_for(|value| *value > 0).await.is_ok());
        },
        change,
        |state| state.1.try_lock().is_ok(),
    )
}

fn watch_closed() -> World {
    let (tx, rx) = watch::channel(0);
    World::new(
        (tx, RefCell::new(Some(rx))),
        |state| async move { state.0.closed().await },
        |state| drop(state.1.take()),
        |_| true,
    )
}

fn oneshot_closed() -> World {
    let (tx, rx) = oneshot::channel::<u32>();
    World::new(
        (Mutex::new(tx), RefCell::new(Some(rx))),
        |state| async move { state.0.lock().await.closed().await },
        |state| drop(state.1.take()),
        |state| state.0.try_lock().is_ok(),
    )
}

fn oneshot_receive() -> World {
    let (tx, rx) = oneshot::channel();
    World::new(
        (RefCell::new(Some(tx)), Mutex::new(Some(rx))),
        |state| async move {
            let mut rx = state.1.lock().await;
            if let Some(waiting) = rx.as_mut() {
                assert_eq!(waiting.await, Ok(7));
                *rx = None;
            }
        },
        |state| {
            if let Some(tx) = state.0.take() {
                assert!(tx.send(7).is_ok());
            }
        },
        |state| state.1.try_lock().is_ok_and(|rx| rx.is_none()),
    )
}

struct Queued {
    queue: Queue<u32>,
    put: Cell<usize>,
    got: Cell<usize>,
}

impl Queued {
    fn new(maxsize: usize) -> Self {
        Self {
            queue: Queue::new(maxsize),
            put: Cell::new(0),
            got: Cell::new(0),
        }
    }

    fn put(&self) {
        if self.queue.try_put(0).is_ok() {
            self.put.set(self.put.get() + 1);
        }
    }

    fn got(&self) {
        self.got.set(self.got.get() + 1);
        self.queue.task_done();
    }

    fn get(&self) {
        if self.queue.try_get().is_ok() {
            self.got();
        }
    }

    fn is_good(&self) -> bool {
        self.put.get() == self.got.get() + self.queue.len()
    }
}

fn queue_get() -> World {
    World::new(
        Queued::new(8),
        |state| async move {
            assert!(state.queue.get().await.is_ok());
            state.got();
        },
        Queued::put,
        Queued::is_good,
    )
}

fn queue_put() -> World {
    let full = Queued::new(1);
    full.put();
    World::new(
        full,
        |state| async move {
            assert!(state.queue.put(0).await.is_ok());
            state.put.set(state.put.get() + 1);
        },
        Queued::get,
        // One that was put for somebody who was dropped before he heard of it is in the queue all the same.
        |state| {
            while state.queue.try_get().is_ok() {
                state.got();
            }
            state.put <= state.got
        },
    )
}

fn queue_join() -> World {
    let one = Queued::new(1);
    one.put();
    World::new(
        one,
        |state| async move { state.queue.join().await },
        Queued::get,
        Queued::is_good,
    )
}

fn emit() -> World {
    let numbers = generate(async |emitter| {
        for number in 0_u32.. {
            emitter.emit(number).await;
        }
    });
    World::new(
        (Mutex::new(Box::pin(numbers)), Cell::new(0)),
        |state| async move {
            let number = state.0.lock().await.next().await;
            assert_eq!(number, Some(state.1.get()), "none is lost");
            state.1.set(state.1.get() + 1);
        },
        |_| (),
        |state| state.0.try_lock().is_ok(),
    )
}

pub(super) fn all() -> Vec<Entry> {
    vec![
        ("mpsc/receive.rs::recv", || {
            receiving(|state| async move {
                assert!(state.rx.lock().await.recv().await.is_some());
                state.received.set(state.received.get() + 1);
            })
        }),
        ("mpsc/receive.rs::recv_many", || {
            receiving(|state| async move {
                let mut buffer = Vec::new();
                let received = state.rx.lock().await.recv_many(&mut buffer, 3).await;
                state.received.set(state.received.get() + received);
            })
        }),
        ("mpsc/bounded.rs::send", || {
            sending(|state| async move {
                state.tx.send(0).await.expect("open");
                state.sent.set(state.sent.get() + 1);
            })
        }),
        ("mpsc/bounded.rs::send_timeout", || {
            sending(|state| async move {
                let sent = state.tx.send_timeout(0, Duration::from_secs(600)).await;
                sent.expect("open");
                state.sent.set(state.sent.get() + 1);
            })
        }),
        ("mpsc/bounded.rs::reserve", || {
            sending(|state| async move { drop(state.tx.reserve().await) })
        }),
        ("mpsc/bounded.rs::reserve_many", || {
            sending(|state| async move { drop(state.tx.reserve_many(1).await) })
        }),
        ("mpsc/bounded.rs::reserve_owned", || {
            sending(|state| async move { drop(state.tx.clone().reserve_owned().await) })
        }),
        // Of both kinds of channels.
        ("mpsc/sender.rs::closed", || {
            World::new(
                mpsc(1),
                |state| async move { state.tx.closed().await },
                |state| state.rx.try_lock().expect("free").close(),
                Mpsc::is_good,
            )
        }),
        ("mpsc/sender.rs::closed", || {
            let (tx, rx) = mpsc::unbounded_channel::<u32>();
            World::new(
                (tx, RefCell::new(Some(rx))),
                |state| async move { state.0.closed().await },
                |state| drop(state.1.take()),
                |_| true,
            )
        }),
        ("broadcast/receiver.rs::recv", broadcast_recv),
        ("broadcast/sender.rs::closed", broadcast_closed),
        ("watch/receiver.rs::changed", watch_changed),
        ("watch/receiver.rs::wait_for", watch_wait_for),
        ("watch/mod.rs::closed", watch_closed),
        ("oneshot/mod.rs::closed", oneshot_closed),
        ("oneshot/mod.rs::Receiver", oneshot_receive),
        ("queue/mod.rs::get", queue_get),
        ("queue/mod.rs::put", queue_put),
        ("queue/mod.rs::join", queue_join),
        ("stream/generate.rs::emit", emit),
    ]
}
