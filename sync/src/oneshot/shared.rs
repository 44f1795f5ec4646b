//! What the two ends share: the state word, a cell for each side's waker, and the value.

#![expect(
    unsafe_code,
    reason = "the state word says whose the value and the allocation are"
)]

use super::state::{CLOSED, RX_GONE, RX_WAKER, SENT, Snapshot, TX_GONE, TX_WAKER};
use crate::primitives::{AtomicUsize, UnsafeCell};
use crate::wait::wake;
use crate::waker_cell::WakerCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::Waker;

/// One of the two references to a channel.
pub(super) struct End<T, S: Side> {
    shared: NonNull<Shared<T>>,
    side: PhantomData<S>,
}

/// Whose reference it is.
pub(super) trait Side {
    /// The bit of its waker.
    const WAKER: usize;
    /// The bits that mean that it has nothing to wait for.
    const OVER: usize;
    /// What it sets when it leaves.
    const GONE: usize;
    /// What the other sets when it leaves.
    const OTHER_GONE: usize;

    /// The cell for its waker.
    fn cell(words: &Words) -> &WakerCell;
}

/// The side of the sender.
pub(super) struct Tx;

impl Side for Tx {
    const WAKER: usize = TX_WAKER;
    const OVER: usize = CLOSED;
    const GONE: usize = TX_GONE;
    const OTHER_GONE: usize = RX_GONE;

    fn cell(words: &Words) -> &WakerCell {
        &words.sender
    }
}

/// The side of the receiver.
pub(super) struct Rx;

impl Side for Rx {
    const WAKER: usize = RX_WAKER;
    const OVER: usize = TX_GONE | CLOSED;
    const GONE: usize = RX_GONE | CLOSED;
    const OTHER_GONE: usize = TX_GONE;

    fn cell(words: &Words) -> &WakerCell {
        &words.receiver
    }
}

/// The allocation.
pub(super) struct Shared<T> {
    words: Words,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// All of it but the value.
///
/// There is nothing but atomics here, not even padding: a change may be the last touch of the channel, which
/// the other end frees before the call has returned, and a reference that is an argument promises of
/// everything else that it is there until then.
pub(super) struct Words {
    state: AtomicUsize,
    receiver: WakerCell,
    sender: WakerCell,
}

// SAFETY: the two ends share nothing but what the state word hands from one to the other, with
// acquire and release: the value, which is `Send`, and wakers, which are so too.
unsafe impl<T: Send, S: Side> Send for End<T, S> {}
// SAFETY: a shared end can only load the state word.
unsafe impl<T: Send, S: Side> Sync for End<T, S> {}

/// The wakers that a change of state has taken out.
#[must_use]
struct Taken {
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

/// The two ends of a new channel.
pub(super) fn pair<T>() -> (End<T, Tx>, End<T, Rx>) {
    let shared = Box::new(Shared {
        words: Words {
            state: AtomicUsize::new(0),
            receiver: WakerCell::new(),
            sender: WakerCell::new(),
        },
        value: UnsafeCell::new(MaybeUninit::uninit()),
    });
    let shared = NonNull::from(Box::leak(shared));
    let (sender, receiver) = (End::new(shared), End::new(shared));
    (sender, receiver)
}

impl<T, S: Side> End<T, S> {
    fn new(shared: NonNull<Shared<T>>) -> Self {
        let side = PhantomData;
        Self { shared, side }
    }

    pub(super) fn state(&self) -> Snapshot {
        self.shared().words.state()
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: the channel is freed by the last end that departs, and this one has not: what
        // departs is dropped or forgotten at once.
        unsafe { self.shared.as_ref() }
    }

    /// Leaves a waker for the other end. `false` if there is nothing to wait for any more.
    pub(super) fn register(&mut self, waker: &Waker) -> bool {
        let words = &self.shared().words;
        let cell = S::cell(words);
        let state = words.state();
        if state.has(S::OVER) {
            return false;
        }
        if state.has(S::WAKER) {
            if cell.holds(waker) {
                return true;
            }
            // Taken out before the cell is filled anew; the other end may have been faster.
            drop(words.change(|state| state.has(S::WAKER).then(|| state.without(S::WAKER))));
        }
        cell.fill(waker.clone());
        let registered =
            words.change(|state| (!state.has(S::OVER)).then(|| state.with(S::WAKER).renewed()));
        if registered.is_err() {
            // SAFETY: it was filled above, and the bit that gives it to the other end is not set.
            drop(unsafe { cell.copy().into_waker() });
        }
        registered.is_ok()
    }

    /// The end's last act; it must not be used afterwards. The receiver gets the value, if there is
    /// one.
    fn depart(&mut self) -> Option<T> {
        let shared = self.shared();
        let left = shared.words.change(|state| {
            (!state.has(S::OTHER_GONE)).then(|| state.with(S::GONE).without(RX_WAKER | TX_WAKER))
        });
        let state = match left {
            // From here on the channel may be gone. Its own waker was taken out too.
            Ok(Taken { receiver, sender }) => {
                let (own, other) = if S::WAKER == TX_WAKER {
                    (sender, receiver)
                } else {
                    (receiver, sender)
                };
                // First, in case that the destructor of the other one panics.
                other.into_iter().for_each(wake);
                drop(own);
                return None;
            }
            Err(state) => state,
        };
        // SAFETY: `SENT` is set with `TX_GONE`, and `RX_GONE` never after it: the value is the
        // receiver's, which departs and so takes it for the first time.
        let value = state.has(SENT).then(|| unsafe { shared.take_value() });
        // SAFETY: it came out of a box; the other end has touched it for the last time, which the
        // load of the state has acquired, and this one does so here.
        drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
        value
    }
}

impl<T> End<T, Tx> {
    /// Hands the value over, or gets it back if nobody wants it.
    pub(super) fn send(self, value: T) -> Result<(), T> {
        let shared = self.shared();
        shared.value.with_mut(|cell| {
            // SAFETY: until `SENT` is set, the value is the sender's alone.
            unsafe { (*cell).write(value) };
        });
        let sent = shared.words.change(|state| {
            (!state.has(CLOSED)).then(|| {
                let sent = state.with(SENT | TX_GONE);
                sent.without(RX_WAKER | TX_WAKER)
            })
        });
        match sent {
            // From here on the channel may be gone.
            Ok(Taken { receiver, sender }) => {
                mem::forget(self);
                receiver.into_iter().for_each(wake);
                drop(sender);
                Ok(())
            }
            // SAFETY: it was written above and not handed over.
            Err(_) => Err(unsafe { shared.take_value() }),
        }
    }
}

impl<T> End<T, Rx> {
    /// Accepts no value from now on, and lets the sender know.
    pub(super) fn close(&self) {
        let closed = self.shared().words.change(|state| {
            (!state.has(TX_GONE | CLOSED)).then(|| state.with(CLOSED).without(TX_WAKER))
        });
        if let Ok(taken) = closed {
            taken.sender.into_iter().for_each(wake);
        }
    }

    /// Gives the channel up, and returns the value if it was sent.
    pub(super) fn leave(self) -> Option<T> {
        ManuallyDrop::new(self).depart()
    }
}

impl<T, S: Side> Drop for End<T, S> {
    fn drop(&mut self) {
        // The value is dropped here, when the channel is no more: its drop may panic.
        drop(self.depart());
    }
}

impl Words {
    fn state(&self) -> Snapshot {
        // Acquire, for the value.
        Snapshot(self.state.load(Acquire))
    }

    /// Changes the state, and takes out the wakers whose bits that clears. Fails with the state if
    /// that rules the change out. After a success, nothing of the channel has been touched.
    fn change(&self, next: impl Fn(Snapshot) -> Option<Snapshot>) -> Result<Taken, Snapshot> {
        let mut seen = self.state();
        loop {
            let Some(new) = next(seen) else {
                return Err(seen);
            };
            let receiver = self.receiver.copy();
            let sender = self.sender.copy();
            // Release, for what this end did to the value and the cells; acquire, for what the
            // other did, of which the next may make use.
            let swapped = self
                .state
                .compare_exchange_weak(seen.0, new.0, AcqRel, Acquire);
            match swapped {
                Err(actual) => seen = Snapshot(actual),
                Ok(_) => {
                    let cleared = |bit| seen.has(bit) && !new.has(bit);
                    return Ok(Taken {
                        // SAFETY: the cell was full in the state that was exchanged, and nobody
                        // else can clear the bit any more.
                        receiver: cleared(RX_WAKER).then(|| unsafe { receiver.into_waker() }),
                        // SAFETY: as above.
                        sender: cleared(TX_WAKER).then(|| unsafe { sender.into_waker() }),
                    });
                }
            }
        }
    }
}

impl<T> Shared<T> {
    /// Moves the value out.
    ///
    /// # Safety
    ///
    /// There is one, it is the caller's, and it is not used afterwards.
    unsafe fn take_value(&self) -> T {
        self.value.with_mut(|cell| {
            // SAFETY: by the contract.
            unsafe { cell.cast::<T>().read() }
        })
    }
}
