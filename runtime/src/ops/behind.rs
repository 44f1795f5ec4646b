//! Writing to a descriptor that is no socket: in the background, one write at a time.
//!
//! # Who goes on with it
//!
//! A write alone is polled by whoever started it, when that asks for its end. Once more bytes have been accepted
//! behind it, they have to be begun when it ends, and whoever brought them may never ask again. So a task goes on
//! with it, the pump, until there is nothing left:
//!
//! | state | `pump` | `stage` | `gathered` | who polls the operation |
//! |---|---|---|---|---|
//! | idle | `Not` | `None` | empty | nobody |
//! | one write | `Not` | a write, or a wait | empty | the owner |
//! | begun | `Spawned` | a write, a wait, or `None` | what has not been begun yet | nobody; the owner leaves its waker in `waiter` |
//! | pumped | `Running` | a write, or a wait | anything | the pump; the owner, likewise |
//!
//! 1. *one write* becomes *begun* when more is to be written ([`WriteBehind::poll_append`]), or the owner is dropped.
//! 2. *begun* becomes *pumped* when the pump is polled. Only now are bytes entrusted to it: it is shielded, so that the end
//!    of its runtime waits for it, but a task that has not begun is dropped there.
//! 3. *begun* or *pumped* becomes *idle* when a write has ended and nothing is gathered, or has failed.
//! 4. *begun* becomes *one write* when the pump is dropped instead, and *pumped* does when nobody waits for a shield any
//!    more; then the owner goes on with what is gathered, when it is polled.
//! 5. Either becomes *one write* when the owner is polled or dropped in another runtime: nobody may run the first one now. The
//!    pump that is left there has not got the last turn any more, and ends when it is polled.
//!
//! A first write outside of the workers is begun by the pump as well: what would begin it there instead is a task that the end
//! of the runtime does not wait for.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::context;
use crate::handle::Handle;
use crate::ops::file::{WriteAt, write_at};
use crate::ops::socket::{PollReady, poll_ready};
use crate::ops::{Op, SharedFd, Slice};
use crate::scope::{leaf_fn, shield};

/// `POLLOUT` of `poll(2)`.
const WRITABLE: u32 = 0x004;

/// The most memory that is kept for the next write when there is none.
const KEPT: usize = 64 * 1024;

/// What is under way.
enum Stage {
    Write(Op<WriteAt<Slice<Vec<u8>>>>),
    /// The descriptor does not block, and has no room.
    Wait(Op<PollReady>, Slice<Vec<u8>>),
}

/// Writes on a descriptor, as those of a file or a terminal, in the background and in the order of the calls.
///
/// A write copies its bytes, starts, and has succeeded: the kernel takes them while the caller goes on. One is under way
/// at a time. The next call waits for it ([`poll_drain`](Self::poll_drain), then [`start`](Self::start)), or has its bytes
/// gathered, to be one write with others when it has ended ([`poll_append`](Self::poll_append)). An error is told by the
/// call after it.
///
/// What was accepted when this is dropped is still written, unless the runtime ends. Where bytes were gathered, the end of
/// the runtime waits for them, as long as it waits for cleanup.
///
/// # Cancel safety
///
/// Loses nothing: no future owns the bytes.
pub struct WriteBehind {
    fd: SharedFd,
    /// From the first write on.
    work: Option<Shared>,
}

/// What the owner and the pump share.
#[derive(Clone)]
struct Shared(Arc<Mutex<Work>>);

/// See the table of the module.
struct Work {
    fd: SharedFd,
    stage: Option<Stage>,
    /// Where the write under way goes, and after it what is gathered; `u64::MAX` for the descriptor's own position.
    offset: u64,
    /// What was accepted since that write began.
    gathered: Vec<u8>,
    /// Whether anything was gathered since all was written: the end of the runtime waits for that.
    is_promised: bool,
    pump: Pumping,
    /// How many pumps there have been. Only the last one goes on.
    turn: u64,
    /// The address of the runtime that the last one is a task of.
    home: usize,
    /// Wakes the pump, which is its task and runs nothing.
    pump_waker: Option<Waker>,
    /// Who waits for the pump.
    waiter: Option<Waker>,
    /// What a write has ended with that nobody was there to be told.
    failed: Option<io::Error>,
    /// Bytes that were accepted and have not been written, as a write failed.
    unwritten: usize,
    /// Memory of the last write, for the next.
    spare: Vec<u8>,
}

/// Whether the pump goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumping {
    Not,
    /// It may be dropped before it begins, so nothing is entrusted to it yet.
    Spawned,
    Running,
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("fd", &self.fd)
            .field("is_idle", &self.is_idle())
            .finish_non_exhaustive()
    }
}

impl WriteBehind {
    /// Nothing under way.
    #[must_use]
    pub fn new(fd: SharedFd) -> Self {
        Self { fd, work: None }
    }

    /// The descriptor.
    #[must_use]
    pub fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// Whether no write is under way. Only then may one be started.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        (self.work.as_ref()).is_none_or(|work| work.lock().is_idle())
    }

    /// How many bytes that were accepted have not been written because of the last failure; 0 when asked again.
    pub fn take_unwritten(&mut self) -> usize {
        let work = self.work.as_ref();
        work.map_or(0, |work| std::mem::take(&mut work.lock().unwritten))
    }

    /// Starts to write the first `limit` bytes of `parts`, as if they were one, at `offset`; `u64::MAX` stands for the
    /// descriptor's own position. Yields how many bytes that are.
    ///
    /// # Panics
    ///
    /// When a write is under way.
    #[track_caller]
    pub fn start(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        limit: usize,
        offset: u64,
    ) -> usize {
        let fd = &self.fd;
        let shared = (self.work).get_or_insert_with(|| Shared::new(fd.clone()));
        let mut work = shared.lock();
        assert!(work.is_idle(), "one write is under way at a time");
        work.use_spare();
        let count = gather(&mut work.gathered, parts, limit);
        work.offset = offset;
        if !context::is_worker()
            && count > 0
            && let Some(handle) = Handle::try_current()
        {
            let turn = work.spawned(&handle);
            drop(work);
            drop(handle.spawn(shield(shared.pump(turn))));
            return count;
        }
        // To the kernel with it; the next call asks what has become of it.
        if let Poll::Ready(Err(error)) = work.poll(cx) {
            work.failed = Some(error);
        }
        count
    }

    /// Polls to accept the first `limit` bytes of `parts` to be written behind the write that is under way, where that
    /// ends, in one write with others that were accepted since. Yields how many bytes that are; `None` when nothing is under
    /// way. It is pending while there would be more than `most` of them; what is more than that itself is not waited
    /// for longer than it takes the others to be begun.
    ///
    /// # Errors
    ///
    /// As those of [`poll_drain`](Self::poll_drain); then nothing was accepted.
    pub fn poll_append(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        limit: usize,
        most: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        let Some(shared) = &self.work else {
            return Poll::Ready(Ok(None));
        };
        let mut may_spawn = true;
        loop {
            let mut work = shared.lock();
            work.take_over();
            match work.pump {
                Pumping::Not => {
                    match work.poll(cx) {
                        Poll::Ready(Ok(())) => return Poll::Ready(Ok(None)),
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {}
                    }
                    let handle = Handle::try_current().filter(|_| may_spawn);
                    let Some(handle) = handle else {
                        // It has ended, and the operation has the waker.
                        return Poll::Pending;
                    };
                    may_spawn = false;
                    let turn = work.spawned(&handle);
                    drop(work);
                    // The end of the runtime waits for what a file has accepted.
                    drop(handle.spawn(shield(shared.pump(turn))));
                }
                Pumping::Running if work.has_room(parts, limit, most) => {
                    work.is_promised = true;
                    return Poll::Ready(Ok(Some(gather(&mut work.gathered, parts, limit))));
                }
                Pumping::Spawned | Pumping::Running => {
                    work.wait(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Polls until the kernel has everything that was accepted.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`, each told once; `WriteZero` when the descriptor takes no more.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.work {
            Some(work) => work.lock().poll_owned(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for WriteBehind {
    /// The pump sees to it that what was accepted is written. There is nobody left to be told of an error.
    fn drop(&mut self) {
        let Some(shared) = &self.work else {
            return;
        };
        let mut work = shared.lock();
        work.take_over();
        let is_over = work.stage.is_none() && work.gathered.is_empty();
        if work.pump != Pumping::Not || is_over {
            return;
        }
        let Some(handle) = Handle::try_current() else {
            return;
        };
        let turn = work.spawned(&handle);
        let is_promised = work.is_promised;
        drop(work);
        if is_promised {
            drop(handle.spawn(shield(shared.pump(turn))));
        } else {
            // The end of the runtime does not wait for it: it may be a pipe that nobody reads.
            drop(handle.spawn(shared.pump(turn)));
        }
    }
}

/// Adds the first `limit` bytes of `parts`, and yields how many that are.
fn gather(gathered: &mut Vec<u8>, parts: &[IoSlice<'_>], limit: usize) -> usize {
    let mut room = limit;
    for part in parts {
        let part = &part[..part.len().min(room)];
        gathered.extend_from_slice(part);
        room -= part.len();
    }
    limit - room
}

impl Shared {
    fn new(fd: SharedFd) -> Self {
        Self(Arc::new(Mutex::new(Work {
            fd,
            stage: None,
            offset: 0,
            gathered: Vec::new(),
            is_promised: false,
            pump: Pumping::Not,
            turn: 0,
            home: 0,
            pump_waker: None,
            waiter: None,
            failed: None,
            unwritten: 0,
            spare: Vec::new(),
        })))
    }

    /// What is done under the lock leaves nothing half done where it may panic.
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pump, to be spawned without the lock: in a runtime that has ended it is dropped at once. What it begins with is
    /// to poll, so no completion is missed.
    fn pump(&self, turn: u64) -> impl Future<Output = ()> + Send + use<> {
        let mut pump = Pump {
            shared: Some(self.clone()),
            turn,
        };
        leaf_fn(move |cx| pump.poll(cx))
    }
}

/// The task that goes on with what was accepted.
struct Pump {
    /// Until it is done.
    shared: Option<Shared>,
    turn: u64,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(shared) = &self.shared else {
            return Poll::Ready(());
        };
        let mut work = shared.lock();
        if work.turn != self.turn {
            drop(work);
            self.shared = None;
            return Poll::Ready(());
        }
        let before = (work.pump, work.gathered.len());
        work.pump = Pumping::Running;
        let polled = work.poll(cx);
        let is_done = polled.is_ready();
        if let Poll::Ready(outcome) = polled {
            work.end_pump(outcome);
        } else {
            match &mut work.pump_waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            if (work.pump, work.gathered.len()) == before {
                // There is no more room than there was.
                return Poll::Pending;
            }
        }
        let waiter = work.waiter.take();
        drop(work);
        if is_done {
            // Before the owner hears of it: when that drops the descriptor, it is to be closed.
            self.shared = None;
        }
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Pump {
    /// Dropped, as its runtime has ended: whoever has the descriptor goes on, if anybody does.
    fn drop(&mut self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut work = shared.lock();
        if work.turn != self.turn {
            return;
        }
        work.pump = Pumping::Not;
        work.pump_waker = None;
        let waiter = work.waiter.take();
        drop(work);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl Work {
    fn is_idle(&self) -> bool {
        self.stage.is_none() && self.failed.is_none() && self.gathered.is_empty()
    }

    /// A pump is about to be spawned there. Yields its turn.
    fn spawned(&mut self, handle: &Handle) -> u64 {
        self.pump = Pumping::Spawned;
        self.home = Arc::as_ptr(handle.shared()).addr();
        self.turn += 1;
        self.turn
    }

    /// The owner goes on itself, if the pump is another runtime's.
    fn take_over(&mut self) {
        if self.pump == Pumping::Not {
            return;
        }
        let here = Handle::try_current().map(|here| Arc::as_ptr(here.shared()).addr());
        if here != Some(self.home) {
            self.pump = Pumping::Not;
            self.turn += 1;
            // So that it ends: its runtime would wait for it.
            if let Some(waker) = self.pump_waker.take() {
                waker.wake();
            }
        }
    }

    /// Gathers into the memory of the last write, if that is more.
    fn use_spare(&mut self) {
        if self.spare.capacity() > self.gathered.capacity() {
            std::mem::swap(&mut self.spare, &mut self.gathered);
            self.gathered.clear();
        }
    }

    /// As [`poll`](Self::poll), for the owner.
    fn poll_owned(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take_over();
        if self.pump == Pumping::Not {
            return self.poll(cx);
        }
        self.wait(cx);
        Poll::Pending
    }

    /// Has the pump wake this task.
    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waiter {
            Some(waiter) => waiter.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Whether the first `limit` bytes of `parts` can be gathered without there being more than `most`.
    fn has_room(&self, parts: &[IoSlice<'_>], limit: usize, most: usize) -> bool {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let there = self.gathered.len();
        there == 0 || there.saturating_add(wanted.min(limit)) <= most
    }

    /// The pump has nothing left to do. What it was done with is told to the owner, and much memory is not kept.
    fn end_pump(&mut self, outcome: io::Result<()>) {
        self.pump = Pumping::Not;
        self.pump_waker = None;
        self.failed = outcome.err();
        self.spare.clear();
        self.spare.shrink_to(KEPT);
        self.gathered.shrink_to(KEPT);
    }

    fn write(&mut self, rest: Slice<Vec<u8>>) {
        self.stage = Some(Stage::Write(write_at(&self.fd, rest, self.offset)));
    }

    /// Polls until everything is written.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            match &mut self.stage {
                None if self.gathered.is_empty() => {
                    self.is_promised = false;
                    return Poll::Ready(Ok(()));
                }
                None => {
                    self.spare.clear();
                    let spare = std::mem::take(&mut self.spare);
                    let bytes = std::mem::replace(&mut self.gathered, spare);
                    self.write(Slice::new(bytes, 0));
                }
                Some(Stage::Write(op)) => {
                    let (written, rest) = ready!(Pin::new(op).poll(cx));
                    self.stage = None;
                    self.settle(written, rest)?;
                }
                Some(Stage::Wait(wait, _)) => {
                    let outcome = ready!(Pin::new(wait).poll(cx));
                    let Some(Stage::Wait(_, rest)) = self.stage.take() else {
                        unreachable!("just matched")
                    };
                    match outcome {
                        Ok(_) => self.write(rest),
                        Err(error) => return Poll::Ready(Err(self.fail(rest, error))),
                    }
                }
            }
        }
    }

    /// After a write: the next step, if there is any.
    fn settle(&mut self, written: io::Result<usize>, mut rest: Slice<Vec<u8>>) -> io::Result<()> {
        match written {
            Ok(0) => return Err(self.fail(rest, io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                rest.advance(count);
                if self.offset != u64::MAX {
                    self.offset += count as u64;
                }
                if rest.is_empty() {
                    self.spare = rest.into_inner();
                } else {
                    self.write(rest);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.write(rest),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stage = Some(Stage::Wait(poll_ready(&self.fd, WRITABLE), rest));
            }
            Err(error) => return Err(self.fail(rest, error)),
        }
        Ok(())
    }

    fn fail(&mut self, rest: Slice<Vec<u8>>, error: io::Error) -> io::Error {
        self.unwritten = rest.len() + self.gathered.len();
        self.gathered.clear();
        self.is_promised = false;
        self.spare = rest.into_inner();
        error
    }
}
