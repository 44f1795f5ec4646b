//! One operation: a try of it, and what is to come before the next.
//!
//! ```text
//!   entry ──▶ try ──▶ Ended
//!              │ ▲
//!              ▼ │ ready, or its turn
//!             Wait, Again                 Block ──▶ a thread ──▶ Ended
//! ```
//!
//! An operation is tried at once, and again whenever its descriptor is ready. Operations at one descriptor are
//! tried in their order.

#![expect(unsafe_code, reason = "operations on memory that entries name")]

use io_uring::opcode;

use super::calls::{self, Bytes, Direction, Transfer};
use super::entry::{
    ACCEPT_MULTISHOT, CQE_BUFFER, CQE_BUFFER_SHIFT, CQE_MORE, POLL_MULTI, RECV_MULTISHOT, Sqe,
};
use super::fifo;
use super::kernel::Output;

/// Most receives, and accepts, of one operation in one turn, so that all get theirs. Fewer than the completions at
/// which a consumer counts as one that lags behind.
const RECEIVES: u32 = 4;
const ACCEPTS: u32 = 16;
/// Longer reads and writes of files are made on a thread: copying alone takes a while.
const SHORT: u32 = 64 * 1024;

/// Bits of `poll(2)` that an entry may ask for; those of epoll beyond are not for it to set.
const POLL_EVENTS: u32 = 0x7fff;
const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const PRIORITY: u32 = libc::EPOLLPRI as u32;
const PEER_CLOSED: u32 = libc::EPOLLRDHUP as u32;
/// Told whether asked for or not.
const FAILURES: u32 = libc::EPOLLERR as u32 | libc::EPOLLHUP as u32;

/// An operation that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) entry: Sqe,
    /// Bytes it has moved.
    done: u32,
    has_begun: bool,
    /// It receives from a TCP socket.
    is_tcp: bool,
}

/// What a try has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It has ended with this result.
    Ended(i32),
    /// It goes on when its descriptor is ready.
    Wait,
    /// There may be more to do at once, but it is others' turn.
    Again,
    /// It is to be done by a thread that may block.
    Block,
}

impl Operation {
    pub(super) fn new(entry: Sqe) -> Self {
        Self {
            entry,
            done: 0,
            has_begun: false,
            is_tcp: false,
        }
    }

    /// Whether it has many completions.
    pub(super) fn is_multishot(&self) -> bool {
        match self.entry.opcode {
            opcode::RecvMulti::CODE => self.entry.io_priority & RECV_MULTISHOT != 0,
            opcode::AcceptMulti::CODE => self.entry.io_priority & ACCEPT_MULTISHOT != 0,
            opcode::PollAdd::CODE => self.entry.length & POLL_MULTI != 0,
            _ => false,
        }
    }

    /// Whether it does nothing but wait.
    pub(super) fn is_poll(&self) -> bool {
        self.entry.opcode == opcode::PollAdd::CODE
    }

    /// What it waits for.
    pub(super) fn interest(&self) -> u32 {
        match self.entry.opcode {
            opcode::PollAdd::CODE => self.polled_events(),
            opcode::Send::CODE
            | opcode::SendZc::CODE
            | opcode::SendMsg::CODE
            | opcode::Connect::CODE
            | opcode::Write::CODE
            | opcode::Writev::CODE => OUT,
            // The end of a stream and urgent data say that a short receive was not the last one.
            _ if self.is_tcp => IN | PEER_CLOSED | PRIORITY,
            _ => IN,
        }
    }

    /// Whether `events` are worth a try.
    pub(super) fn cares_for(&self, events: u32) -> bool {
        events & (self.interest() | FAILURES) != 0
    }

    fn polled_events(&self) -> u32 {
        let events = self.entry.flags_of_operation;
        // Entries have the halves the other way round there.
        let events = if cfg!(target_endian = "big") {
            events.rotate_left(16)
        } else {
            events
        };
        events & POLL_EVENTS
    }

    /// What is told when it is cancelled: what it has done counts more.
    pub(super) fn result_when_cancelled(&self) -> i32 {
        if self.done > 0 {
            self.done as i32
        } else {
            -libc::ECANCELED
        }
    }

    /// What becomes of it when its descriptor cannot be waited for, with this errno. A file that epoll refuses is
    /// always ready.
    pub(super) fn without_readiness(&self, errno: i32) -> Step {
        match self.entry.opcode {
            opcode::PollAdd::CODE if errno == libc::EPERM => {
                Step::Ended((self.polled_events() & (IN | OUT)) as i32)
            }
            opcode::Read::CODE
            | opcode::Readv::CODE
            | opcode::Write::CODE
            | opcode::Writev::CODE
                if errno == libc::EPERM =>
            {
                Step::Block
            }
            _ => Step::Ended(-errno),
        }
    }

    /// Tries it. `events` are those that its descriptor has just shown; none means that nothing is known.
    pub(super) fn attempt(&mut self, events: Option<u32>, output: &mut Output<'_>) -> Step {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match self.entry.opcode {
            opcode::Nop::CODE => Step::Ended(0),
            opcode::Send::CODE | opcode::SendZc::CODE => self.send(),
            opcode::SendMsg::CODE => self.send_message(),
            opcode::Recv::CODE if self.is_multishot() => {
                if is_first {
                    self.is_tcp = calls::is_tcp(self.entry.fd);
                }
                self.receive_many(events, output)
            }
            opcode::Recv::CODE => self.receive(),
            opcode::RecvMsg::CODE => self.receive_message(),
            opcode::Accept::CODE => self.accept(is_first, output),
            opcode::Connect::CODE => self.connect(is_first, events),
            opcode::PollAdd::CODE => self.poll(events, output),
            opcode::Read::CODE => self.transfer(Direction::Read, false, events),
            opcode::Readv::CODE => self.transfer(Direction::Read, true, events),
            opcode::Write::CODE => self.transfer(Direction::Write, false, events),
            opcode::Writev::CODE => self.transfer(Direction::Write, true, events),
            opcode::Shutdown::CODE => {
                Step::Ended(calls::shutdown(self.entry.fd, self.entry.length))
            }
            opcode::OpenAt::CODE
            | opcode::Statx::CODE
            | opcode::Fsync::CODE
            | opcode::Close::CODE => Step::Block,
            _ => Step::Ended(-libc::EINVAL),
        }
    }

    /// Does it on a thread that may block, to its end.
    pub(super) fn block(&mut self, is_given_up: impl Fn() -> bool) -> i32 {
        let entry = &self.entry;
        match entry.opcode {
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            opcode::OpenAt::CODE => unsafe { fifo::open(entry, is_given_up) },
            // SAFETY: as above.
            opcode::Statx::CODE => unsafe { calls::stat(entry) },
            opcode::Fsync::CODE => calls::sync(entry),
            // SAFETY: as above.
            opcode::Close::CODE => unsafe { calls::close(entry) },
            opcode::Connect::CODE => self.connect_in_turns(is_given_up),
            opcode::Read::CODE => self.transfer_to_end(Direction::Read, false),
            opcode::Readv::CODE => self.transfer_to_end(Direction::Read, true),
            opcode::Write::CODE => self.transfer_to_end(Direction::Write, false),
            opcode::Writev::CODE => self.transfer_to_end(Direction::Write, true),
            _ => -libc::EINVAL,
        }
    }

    fn message_flags(&self) -> i32 {
        self.entry.flags_of_operation as i32
    }

    /// What `EAGAIN` means: an end only for those who asked not to wait.
    fn would_block(&self) -> Step {
        if self.message_flags() & libc::MSG_DONTWAIT != 0 {
            return self.ended(-libc::EAGAIN);
        }
        Step::Wait
    }

    /// The end of a transfer: what has been moved counts more than what then went wrong.
    fn ended(&self, result: i32) -> Step {
        if result < 0 && self.done > 0 {
            return Step::Ended(self.done as i32);
        }
        Step::Ended(result)
    }

    fn send(&mut self) -> Step {
        let flags = self.message_flags() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        loop {
            let bytes = Bytes::new(self.entry.address, self.entry.length, self.done);
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            let sent = unsafe {
                calls::send(
                    self.entry.fd,
                    bytes,
                    flags & !libc::MSG_WAITALL,
                    &self.entry,
                )
            };
            if sent == -libc::EAGAIN {
                return self.would_block();
            }
            if sent < 0 {
                return self.ended(sent);
            }
            self.done += sent as u32;
            let is_enough =
                flags & libc::MSG_WAITALL == 0 || sent == 0 || self.done >= self.entry.length;
            if is_enough {
                return Step::Ended(self.done as i32);
            }
        }
    }

    fn send_message(&self) -> Step {
        let flags = self.message_flags() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: as in `send`.
        let sent = unsafe { calls::send_message(self.entry.fd, self.entry.address, flags) };
        if sent == -libc::EAGAIN {
            return self.would_block();
        }
        Step::Ended(sent)
    }

    fn receive(&mut self) -> Step {
        let flags = self.message_flags();
        let wants_all = flags & libc::MSG_WAITALL != 0 && flags & libc::MSG_PEEK == 0;
        loop {
            let bytes = Bytes::new(self.entry.address, self.entry.length, self.done);
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            let received = unsafe { calls::recv(self.entry.fd, bytes, flags | libc::MSG_DONTWAIT) };
            if received == -libc::EAGAIN {
                return self.would_block();
            }
            if received < 0 {
                return self.ended(received);
            }
            self.done += received as u32;
            if !wants_all || received == 0 || self.done >= self.entry.length {
                return Step::Ended(self.done as i32);
            }
        }
    }

    fn receive_message(&self) -> Step {
        let flags = self.message_flags() | libc::MSG_DONTWAIT;
        // SAFETY: as in `receive`.
        let received = unsafe { calls::receive_message(self.entry.fd, self.entry.address, flags) };
        if received == -libc::EAGAIN {
            return self.would_block();
        }
        Step::Ended(received)
    }

    /// Receives into provided buffers.
    fn receive_many(&self, events: Option<u32>, output: &mut Output<'_>) -> Step {
        let flags = self.message_flags() | libc::MSG_DONTWAIT;
        for _ in 0..RECEIVES {
            if !output.has_room() {
                return Step::Again;
            }
            // As the kernel does, before it is known whether one will be needed.
            let Some(buffer) = output.buffer(self.entry.buffer_group) else {
                return Step::Ended(-libc::ENOBUFS);
            };
            let length = match self.entry.length {
                0 => buffer.length,
                length => length.min(buffer.length),
            };
            let bytes = Bytes::new(buffer.address, length, 0);
            // SAFETY: a buffer of the group is nobody else's until it has been taken and told.
            let received = unsafe { calls::recv(self.entry.fd, bytes, flags) };
            if received == -libc::EAGAIN {
                return self.would_block();
            }
            if received <= 0 {
                return Step::Ended(received);
            }
            output.take_buffer();
            let flags = CQE_MORE | CQE_BUFFER | u32::from(buffer.id) << CQE_BUFFER_SHIFT;
            output.tell(self.entry.user_data, received, flags);
            let was_short = (received as u32) < length;
            if was_short && self.was_all_there_is(events) {
                return Step::Wait;
            }
        }
        Step::Again
    }

    /// Whether a short receive has emptied the socket, so that asking again is useless: of a TCP socket, unless it
    /// has shown its end, an error or urgent data, at which a receive stops. What comes later is told anew. Other
    /// sockets have boundaries between what they hold.
    fn was_all_there_is(&self, events: Option<u32>) -> bool {
        self.is_tcp && events.is_some_and(|events| events & !IN == 0)
    }

    fn accept(&self, is_first: bool, output: &mut Output<'_>) -> Step {
        if is_first {
            let before = calls::set_nonblocking(self.entry.fd);
            if before < 0 {
                return Step::Ended(before);
            }
        }
        for _ in 0..ACCEPTS {
            if !output.has_room() {
                return Step::Again;
            }
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            let accepted = unsafe { calls::accept(&self.entry) };
            if accepted == -libc::EAGAIN {
                return Step::Wait;
            }
            if accepted < 0 || !self.is_multishot() {
                return Step::Ended(accepted);
            }
            output.tell(self.entry.user_data, accepted, CQE_MORE);
        }
        Step::Again
    }

    fn connect(&self, is_first: bool, events: Option<u32>) -> Step {
        if !is_first {
            return match events {
                Some(_) => Step::Ended(calls::end_of_connect(self.entry.fd)),
                None => Step::Wait,
            };
        }
        // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
        match unsafe { calls::begin_connect(&self.entry) } {
            error if error == -libc::EINPROGRESS => Step::Wait,
            // The listener has no room, and its socket no readiness for that.
            error if error == -libc::EAGAIN && self.is_unix() => Step::Block,
            result => Step::Ended(result),
        }
    }

    fn is_unix(&self) -> bool {
        // SAFETY: as in `connect`.
        unsafe { calls::address_family(&self.entry) == libc::AF_UNIX }
    }

    /// Connects to a Unix socket as soon as its listener has room.
    fn connect_in_turns(&self, is_given_up: impl Fn() -> bool) -> i32 {
        fifo::in_turns(is_given_up, || {
            // SAFETY: as in `connect`.
            let result = unsafe { calls::begin_connect(&self.entry) };
            (result != -libc::EAGAIN).then_some(result)
        })
    }

    fn poll(&self, events: Option<u32>, output: &mut Output<'_>) -> Step {
        // The wait itself tells what holds already.
        let Some(events) = events else {
            return Step::Wait;
        };
        let shown = events & (self.polled_events() | FAILURES);
        if shown == 0 {
            return Step::Wait;
        }
        if self.is_multishot() {
            output.tell(self.entry.user_data, shown as i32, CQE_MORE);
            return Step::Wait;
        }
        Step::Ended(shown as i32)
    }

    fn transfer(&mut self, direction: Direction, is_vectored: bool, events: Option<u32>) -> Step {
        if events.is_none() && (is_vectored || self.entry.length > SHORT) {
            // What can be waited for is ready or not; the others, which are files, go to a thread.
            return Step::Wait;
        }
        loop {
            let transfer = Transfer {
                entry: &self.entry,
                direction,
                is_vectored,
                done: self.done,
            };
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            let (moved, has_positions) = unsafe { transfer.now() };
            if moved < 0 {
                return self.after_refusal(-moved, has_positions, events);
            }
            if is_vectored {
                return Step::Ended(moved);
            }
            self.done += moved as u32;
            if moved == 0 || !has_positions || self.done >= self.entry.length {
                return Step::Ended(self.done as i32);
            }
            // A short read of a file: at its end, or before what is not in memory.
        }
    }

    /// What is to be done when a transfer without waiting was refused.
    fn after_refusal(&self, errno: i32, has_positions: bool, events: Option<u32>) -> Step {
        match errno {
            libc::EAGAIN if self.done > 0 && has_positions => Step::Block,
            libc::EAGAIN if self.done == 0 && calls::is_nonblocking(self.entry.fd) => {
                Step::Ended(-libc::EAGAIN)
            }
            libc::EAGAIN => Step::Wait,
            // The file does not know how not to wait. Ready or not, a thread can.
            libc::EOPNOTSUPP | libc::ENOSYS if events.is_some() => Step::Block,
            libc::EOPNOTSUPP | libc::ENOSYS => Step::Wait,
            errno => self.ended(-errno),
        }
    }

    /// On a thread: moves all of it, or what there is up to the end of the file.
    fn transfer_to_end(&mut self, direction: Direction, is_vectored: bool) -> i32 {
        let started = self.done > 0;
        loop {
            let transfer = Transfer {
                entry: &self.entry,
                direction,
                is_vectored,
                done: self.done,
            };
            // SAFETY: what an entry names is valid until its final completion, by the contract of `Ring::push`.
            let moved = unsafe { transfer.waiting() };
            if moved < 0 {
                let moved_before = self.done as i32;
                return if moved_before > 0 {
                    moved_before
                } else {
                    moved
                };
            }
            if is_vectored {
                return moved;
            }
            self.done += moved as u32;
            if !started || moved == 0 || self.done >= self.entry.length {
                return self.done as i32;
            }
        }
    }
}
