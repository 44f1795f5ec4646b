//! Room for items, reserved: sending with it never waits or fails.

use super::bounded::{Bounded, Sender};
use super::chan::Chan;
use std::fmt;

/// Room for one item. Made by [`Sender::reserve`]; dropping it gives the room to the next.
#[must_use = "dropping it gives the room back at once"]
pub struct Permit<'s, T> {
    room: Room<'s, T>,
}

/// Room for several items, as an iterator of permits. Made by [`Sender::reserve_many`]; dropping it
/// gives back what is left.
#[must_use = "dropping it gives the room back at once"]
pub struct PermitIterator<'s, T> {
    room: Room<'s, T>,
}

/// Room for one item, with the sender. Made by [`Sender::reserve_owned`].
#[must_use = "dropping it gives the room back at once"]
pub struct OwnedPermit<T> {
    /// There until it is used up.
    sender: Option<Sender<T>>,
}

/// So much room, given back when this is dropped.
struct Room<'s, T> {
    chan: &'s Chan<T, Bounded>,
    items: usize,
}

impl<T> Drop for Room<'_, T> {
    fn drop(&mut self) {
        give_back(self.chan, self.items);
    }
}

/// Gives room back that was not used.
pub(super) fn give_back<T>(chan: &Chan<T, Bounded>, items: usize) {
    if items > 0 {
        chan.shared.limit.permits.put(items);
        nudge_if_closed(chan);
    }
}

/// The receiver of a closed channel waits for the room that is still reserved, and has to be told.
/// After room was given back: then either this sees that it is closed, or the receiver, which closed
/// it later, sees the room.
pub(super) fn nudge_if_closed<T>(chan: &Chan<T, Bounded>) {
    if chan.shared.limit.permits.is_closed() {
        chan.nudge();
    }
}

impl<'s, T> Permit<'s, T> {
    pub(super) fn new(chan: &'s Chan<T, Bounded>) -> Self {
        Self {
            room: Room { chan, items: 1 },
        }
    }

    /// Sends an item. Never waits, and succeeds even if the channel was closed meanwhile.
    pub fn send(mut self, value: T) {
        self.room.items = 0;
        self.room.chan.append(value);
    }
}

impl<'s, T> PermitIterator<'s, T> {
    pub(super) fn new(chan: &'s Chan<T, Bounded>, items: usize) -> Self {
        Self {
            room: Room { chan, items },
        }
    }
}

impl<'s, T> Iterator for PermitIterator<'s, T> {
    type Item = Permit<'s, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.room.items = self.room.items.checked_sub(1)?;
        Some(Permit::new(self.room.chan))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.room.items, Some(self.room.items))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> std::iter::FusedIterator for PermitIterator<'_, T> {}

impl<T> OwnedPermit<T> {
    pub(super) fn new(sender: Sender<T>) -> Self {
        Self {
            sender: Some(sender),
        }
    }

    /// Sends an item, and returns the sender. Never waits, and succeeds even if the channel was
    /// closed meanwhile.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn send(mut self, value: T) -> Sender<T> {
        let sender = self.sender.take().expect("there until it is used up");
        sender.chan.append(value);
        sender
    }

    /// Gives the room back, and returns the sender.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn release(mut self) -> Sender<T> {
        let sender = self.sender.take().expect("there until it is used up");
        give_back(&sender.chan, 1);
        sender
    }

    /// Whether both are for the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        matches!((&self.sender, &other.sender), (Some(one), Some(other)) if one.same_channel(other))
    }

    /// Whether it is for the channel of a sender.
    #[must_use]
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        matches!(&self.sender, Some(own) if own.same_channel(sender))
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            give_back(&sender.chan, 1);
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator")
            .field("items", &self.room.items)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
