//! Which operations wait at which descriptor.
//!
//! A descriptor is registered with epoll while an operation waits at it, and each operation keeps its descriptor
//! open, so a registration is never that of another file under the same number. Registrations are edge-triggered:
//! an operation is tried before it waits, and what comes after that try is told.
//!
//! With a multishot operation a registration lasts, which saves a system call for each completion. Otherwise it
//! is for one event (`EPOLLONESHOT`), and ends by itself: what is registered with an epoll instance that nobody
//! needs any more would wake its worker for nothing, when the task has moved to another one.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::epoll::Epoll;
use super::operation::Operation;

const ONCE: u32 = libc::EPOLLONESHOT as u32;
const EDGES: u32 = libc::EPOLLET as u32;

/// All that waits.
#[derive(Debug)]
pub(super) struct Watches {
    epoll: Epoll,
    /// By descriptor.
    places: Vec<Place>,
}

/// What waits at one descriptor.
#[derive(Debug, Default)]
struct Place {
    /// In the order in which they came.
    operations: Vec<Operation>,
    /// What epoll tells of, flags included; 0 for nothing.
    armed: u32,
    /// Epoll may know the descriptor, with a registration that has told its one event.
    is_known: bool,
}

impl Place {
    fn wanted(&self) -> u32 {
        let interest = |all, operation: &Operation| all | operation.interest();
        let interest = self.operations.iter().fold(0, interest);
        let lasts = self.operations.iter().any(Operation::is_multishot);
        interest | EDGES | if lasts { 0 } else { ONCE }
    }

    /// Whether what is registered will tell all that is wanted.
    fn suffices(&self, wanted: u32) -> bool {
        let lasts_as_wanted = self.armed & ONCE == 0 || wanted & ONCE != 0;
        self.armed & !ONCE & wanted == wanted & !ONCE && lasts_as_wanted
    }
}

impl Watches {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            places: Vec::new(),
        })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Has an operation wait. When its descriptor cannot be waited for, it comes back with the errno.
    pub(super) fn add(&mut self, operation: Operation) -> Result<(), (Operation, i32)> {
        let fd = operation.entry.fd;
        let Ok(index) = usize::try_from(fd) else {
            return Err((operation, libc::EBADF));
        };
        if index >= self.places.len() {
            // A number that no open descriptor has must not decide how much memory is taken.
            if let Err(errno) = exists(fd) {
                return Err((operation, errno));
            }
            self.places.resize_with(index + 1, Place::default);
        }
        // It was not tried, so what holds already is to be told.
        let is_untried = operation.is_poll();
        self.places[index].operations.push(operation);
        match self.arm(fd, is_untried) {
            Ok(()) => Ok(()),
            Err(errno) => {
                let operation = self.places[index].operations.pop();
                Err((operation.expect("pushed above"), errno))
            }
        }
    }

    /// Takes all operations away from a descriptor, to be [put back](Self::put_back).
    pub(super) fn take(&mut self, fd: RawFd) -> Vec<Operation> {
        let place = usize::try_from(fd)
            .ok()
            .and_then(|index| self.places.get_mut(index));
        place.map_or_else(Vec::new, |place| std::mem::take(&mut place.operations))
    }

    /// Has operations wait again where they did. Nothing came to wait there meanwhile.
    ///
    /// # Errors
    ///
    /// The operations with the errno, when they cannot be waited for any longer.
    pub(super) fn put_back(
        &mut self,
        fd: RawFd,
        operations: Vec<Operation>,
    ) -> Result<(), (Vec<Operation>, i32)> {
        let Some(place) = usize::try_from(fd)
            .ok()
            .and_then(|index| self.places.get_mut(index))
        else {
            return Ok(());
        };
        debug_assert!(place.operations.is_empty());
        if operations.is_empty() {
            if place.armed != 0 {
                place.armed = 0;
                place.is_known = false;
                // A descriptor that has been closed has no registration any more.
                let _: Result<(), i32> = self.epoll.remove(fd);
            }
            return Ok(());
        }
        place.operations = operations;
        self.arm(fd, false).map_err(|errno| (self.take(fd), errno))
    }

    /// Takes one operation away.
    pub(super) fn remove(&mut self, fd: RawFd, user_data: u64) -> Option<Operation> {
        let mut operations = self.take(fd);
        // Most likely one of the last.
        let index = operations
            .iter()
            .rposition(|operation| operation.entry.user_data == user_data);
        let removed = index.map(|index| operations.remove(index));
        if let Err((operations, _)) = self.put_back(fd, operations) {
            // What could not be registered anew is still registered for more than it needs.
            self.places[fd as usize].operations = operations;
        }
        removed
    }

    /// Sees to it that epoll tells what the operations at `fd` wait for, and with `anew` also what holds now.
    fn arm(&mut self, fd: RawFd, anew: bool) -> Result<(), i32> {
        let place = &mut self.places[fd as usize];
        let wanted = place.wanted();
        if !anew && place.suffices(wanted) {
            return Ok(());
        }
        let data = fd as u64;
        let (first, second) = if place.is_known {
            (self.epoll.change(fd, wanted, data), libc::ENOENT)
        } else {
            (self.epoll.add(fd, wanted, data), libc::EEXIST)
        };
        let armed = match first {
            Err(errno) if errno == second && place.is_known => self.epoll.add(fd, wanted, data),
            Err(errno) if errno == second => self.epoll.change(fd, wanted, data),
            armed => armed,
        };
        if armed.is_ok() {
            place.armed = wanted;
            place.is_known = true;
        }
        armed
    }

    /// Waits for events, at most for `timeout`. Returns how many there are.
    ///
    /// # Errors
    ///
    /// `EINTR`.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, i32> {
        self.epoll.wait(timeout)
    }

    /// The descriptor and the events of the `index`-th event of the last wait.
    pub(super) fn event(&mut self, index: usize) -> (RawFd, u32) {
        let (events, data) = self.epoll.event(index);
        let fd = data as RawFd;
        if let Some(place) = self.places.get_mut(data as usize)
            && place.armed & ONCE != 0
        {
            place.armed = 0;
        }
        (fd, events)
    }

    /// Has epoll tell of `fd`, which no operation waits at, for ever.
    pub(super) fn add_bell(&mut self, fd: RawFd) -> io::Result<()> {
        let events = libc::EPOLLIN as u32 | EDGES;
        self.epoll
            .add(fd, events, fd as u64)
            .map_err(io::Error::from_raw_os_error)
    }
}

/// Whether there is a descriptor with this number.
fn exists(fd: RawFd) -> Result<(), i32> {
    let flags = super::calls::status_flags(fd);
    if flags < 0 { Err(-flags) } else { Ok(()) }
}
