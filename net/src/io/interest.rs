//! What to wait for, and what there is.

use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// The bits of `poll(2)`.
pub(super) const POLLIN: u32 = 0x001;
const POLLPRI: u32 = 0x002;
const POLLOUT: u32 = 0x004;
const POLLERR: u32 = 0x008;
const POLLHUP: u32 = 0x010;
const POLLRDHUP: u32 = 0x2000;

/// What to wait for; after tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// That there is something to be read, or the end.
    pub const READABLE: Self = Self(Ready::READABLE.0);
    /// That something can be written, or nobody reads any more.
    pub const WRITABLE: Self = Self(Ready::WRITABLE.0);
    /// That there is something urgent (`POLLPRI`), such as out-of-band data, or a change in sysfs.
    pub const PRIORITY: Self = Self(Ready::PRIORITY.0);
    /// That there is an error. It is told to whoever waits for anything else, too.
    pub const ERROR: Self = Self(Ready::ERROR.0);

    /// Whether it includes reading.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether it includes writing.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether it includes what is urgent.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether it includes errors.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// Both.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As `poll(2)` is asked for it.
    pub(crate) fn events(self) -> u32 {
        let pick = |yes, events| if yes { events } else { 0 };
        pick(self.is_readable(), POLLIN | POLLRDHUP)
            | pick(self.is_writable(), POLLOUT)
            | pick(self.is_priority(), POLLPRI | POLLRDHUP)
    }

    /// What answers it.
    pub(super) fn mask(self) -> Ready {
        let mut mask = Ready(self.0) | Ready::ERROR;
        if self.is_readable() || self.is_priority() {
            mask |= Ready::READ_CLOSED;
        }
        if self.is_writable() {
            mask |= Ready::WRITE_CLOSED;
        }
        mask
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

/// What a descriptor is ready for; after tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ready(pub(super) u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// There is something to be read, or the end.
    pub const READABLE: Self = Self(1);
    /// Something can be written.
    pub const WRITABLE: Self = Self(1 << 1);
    /// Nothing more will come.
    pub const READ_CLOSED: Self = Self(1 << 2);
    /// Nobody reads what is written.
    pub const WRITE_CLOSED: Self = Self(1 << 3);
    /// There is something urgent.
    pub const PRIORITY: Self = Self(1 << 4);
    /// There is an error.
    pub const ERROR: Self = Self(1 << 5);
    /// All of it.
    pub const ALL: Self = Self((1 << 6) - 1);

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a read would not block: there are bytes, the end, or an error.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.contains(Self::READABLE) || self.is_read_closed()
    }

    /// Whether a write would not block: there is room, or an error.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.contains(Self::WRITABLE) || self.is_write_closed()
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_read_closed(self) -> bool {
        self.contains(Self::READ_CLOSED)
    }

    /// Whether nobody reads what is written.
    #[must_use]
    pub fn is_write_closed(self) -> bool {
        self.contains(Self::WRITE_CLOSED)
    }

    /// Whether there is something urgent.
    #[must_use]
    pub fn is_priority(self) -> bool {
        self.contains(Self::PRIORITY)
    }

    /// Whether there is an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.contains(Self::ERROR)
    }

    fn contains(self, other: Self) -> bool {
        self & other == other
    }

    /// The part of what `poll(2)` says that answers `interest`.
    pub(crate) fn answer(events: u32, interest: Interest) -> Self {
        Self::of_events(events, interest) & interest.mask()
    }

    /// What `poll(2)` says to one who asked for `interest`.
    pub(super) fn of_events(events: u32, interest: Interest) -> Self {
        let pick = |bits, ready| {
            if events & bits != 0 {
                ready
            } else {
                Self::EMPTY
            }
        };
        let mut ready = pick(POLLIN, Self::READABLE)
            | pick(POLLOUT, Self::WRITABLE)
            | pick(POLLPRI, Self::PRIORITY)
            | pick(POLLERR, Self::ERROR)
            | pick(POLLRDHUP | POLLHUP, Self::READ_CLOSED)
            | pick(POLLHUP, Self::WRITE_CLOSED);
        if events & POLLERR != 0 {
            // The call that is tried is told the error.
            ready |= Self(interest.0) & (Self::READABLE | Self::WRITABLE);
            if events == POLLERR || events & POLLOUT != 0 {
                ready |= Self::WRITE_CLOSED;
            }
        }
        ready
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_error_answers_who_waits() {
        for interest in [Interest::READABLE, Interest::WRITABLE, Interest::ERROR] {
            let ready = Ready::of_events(POLLERR, interest) & interest.mask();
            assert!(
                ready.is_error() && ready.0 & interest.0 != 0,
                "{interest:?}"
            );
        }
    }

    #[test]
    fn events_are_told_apart() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(both.events(), POLLIN | POLLRDHUP | POLLOUT);
        let ended = Ready::of_events(POLLHUP, Interest::READABLE);
        assert!(ended.is_readable() && ended.is_write_closed() && !ended.is_error());
        let half = Ready::of_events(POLLIN | POLLRDHUP, both);
        assert!(half.is_read_closed() && !half.is_writable());
        let unread = Ready::of_events(POLLOUT | POLLERR, Interest::WRITABLE);
        assert!(unread.is_write_closed() && unread.is_error());
        assert_eq!(Ready::ALL - Ready::ERROR - Ready::ALL, Ready::EMPTY);
    }
}
