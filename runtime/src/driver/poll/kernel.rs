//! Entering an emulated ring: takes what was submitted, waits, and completes.
//!
//! The lock takes the kernel's place: whoever holds it is inside, one thread at a time. The owner waits for events
//! under it. A sibling tries it only, and finds it taken when the owner sleeps, which is when nobody has to help.
//! No code of the user's runs inside, and none of subscribers.

#![expect(unsafe_code, reason = "taking what was published")]

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use io_uring::opcode;

use super::entry::{CANCEL_ANY, Cqe, KNOWN_FLAGS, SQE_BUFFER_SELECT, SQE_SKIP_SUCCESS, Sqe};
use super::files::{Ended, FileJob, Files, Ticket};
use super::group::{Group, Provided};
use super::operation::{Operation, Step};
use super::watches::Watches;
use crate::driver::ring::Ring;
use crate::driver::sys::{self, BufferEntry};

/// What takes the kernel's place for one ring.
#[derive(Debug)]
pub(in crate::driver) struct Emulation {
    fd: RawFd,
    files: Arc<Files>,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    watches: Watches,
    files: Arc<Files>,
    /// Where the operations are that have not ended, by `user_data`.
    places: HashMap<u64, Place>,
    /// Descriptors whose operations have more to do at once.
    again: VecDeque<RawFd>,
    /// Completions that found no place in the queue.
    overflow: VecDeque<Cqe>,
    group: Option<Group>,
    ended: Vec<Ended>,
    /// For threads, once outside.
    to_start: Vec<FileJob>,
}

/// What a turn inside has come to.
#[derive(Debug)]
struct Turn {
    taken: u32,
    to_start: Vec<FileJob>,
    /// Nothing as long as fewer completions are there than are wanted.
    outcome: Option<Result<(), i32>>,
}

#[derive(Debug)]
enum Place {
    Waiting(RawFd),
    OnThread(Arc<Ticket>),
}

/// Where completions go, and buffers come from.
pub(super) struct Output<'a> {
    ring: &'a Ring,
    overflow: &'a mut VecDeque<Cqe>,
    group: &'a mut Option<Group>,
}

impl Output<'_> {
    /// Whether a completion would find a place in the queue. Those of multishot operations wait for one.
    pub(super) fn has_room(&self) -> bool {
        self.overflow.is_empty() && self.ring.has_room()
    }

    /// The next buffer of a group; none also when there is no such group.
    pub(super) fn buffer(&self, group: u16) -> Option<Provided> {
        self.group.as_ref().filter(|own| own.id() == group)?.peek()
    }

    /// That buffer has been filled.
    pub(super) fn take_buffer(&mut self) {
        if let Some(group) = self.group {
            group.take();
        }
    }

    /// Posts a completion. None is ever lost.
    pub(super) fn tell(&mut self, user_data: u64, result: i32, flags: u32) {
        let completion = Cqe {
            user_data,
            result,
            flags,
        };
        // SAFETY: the lock makes this the only producer of the queue.
        let posted = self.overflow.is_empty() && unsafe { self.ring.post(completion) };
        if !posted {
            self.overflow.push_back(completion);
        }
    }

    /// Posts the last completion of what `entry` has asked for.
    fn end(&mut self, entry: &Sqe, result: i32) {
        if result < 0 || entry.flags & SQE_SKIP_SUCCESS == 0 {
            self.tell(entry.user_data, result, 0);
        }
    }
}

impl Emulation {
    pub(in crate::driver) fn new() -> io::Result<Self> {
        let mut watches = Watches::new()?;
        let files = Arc::new(Files::new()?);
        watches.add_bell(files.event_fd())?;
        Ok(Self {
            fd: watches.fd(),
            files: files.clone(),
            inside: Mutex::new(Inside {
                watches,
                files,
                places: HashMap::new(),
                again: VecDeque::new(),
                overflow: VecDeque::new(),
                group: None,
                ended: Vec::new(),
                to_start: Vec::new(),
            }),
        })
    }

    /// The epoll instance.
    pub(in crate::driver) fn fd(&self) -> RawFd {
        self.fd
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing of the user's runs inside, and a bug of ours that panics there must not hide behind another.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Ring::enter`].
    pub(in crate::driver) fn enter(
        &self,
        ring: &Ring,
        want: u32,
        timeout: Option<Duration>,
    ) -> io::Result<u32> {
        let deadline = match timeout {
            Some(timeout) if want > 0 => Instant::now().checked_add(timeout),
            _ => None,
        };
        let mut taken = 0;
        loop {
            let turn = self.inside().turn(ring, want, deadline);
            taken += turn.taken;
            self.files.start(turn.to_start);
            match turn.outcome {
                None => {}
                Some(Err(errno)) if taken == 0 => return Err(io::Error::from_raw_os_error(errno)),
                Some(_) => return Ok(taken),
            }
        }
    }

    /// As [`enter`](Self::enter) without waiting, not even for another thread that is inside.
    pub(in crate::driver) fn try_enter(&self, ring: &Ring) -> io::Result<u32> {
        let turn = match self.inside.try_lock() {
            Ok(mut inside) => inside.turn(ring, 0, None),
            Err(TryLockError::Poisoned(inside)) => inside.into_inner().turn(ring, 0, None),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.files.start(turn.to_start);
        Ok(turn.taken)
    }

    /// As `REGISTER_PBUF_RING`, of the one group that a ring has.
    ///
    /// # Safety
    ///
    /// As for [`Group::new`], until [`unregister_buffers`](Self::unregister_buffers).
    pub(in crate::driver) unsafe fn register_buffers(
        &self,
        entries: NonNull<BufferEntry>,
        count: u32,
        group: u16,
    ) {
        // SAFETY: as the caller vouches.
        self.inside().group = Some(unsafe { Group::new(entries, count, group) });
    }

    pub(in crate::driver) fn unregister_buffers(&self) {
        self.inside().group = None;
    }

    /// Limits the threads for what blocks.
    pub(in crate::driver) fn limit_threads(&self, threads: u32) {
        self.files.limit_threads(threads);
    }

    /// Has `event` written to when what a thread does has ended.
    pub(in crate::driver) fn set_bell(&self, event: RawFd) {
        self.files.set_bell(event);
    }
}

impl Inside {
    /// Takes what was submitted, and looks at events once; sleeps for them if fewer than `want` completions are there
    /// and nothing is left to do.
    fn turn(&mut self, ring: &Ring, want: u32, deadline: Option<Instant>) -> Turn {
        self.make_room(ring);
        let taken = self.take_submissions(ring);
        self.finish(ring);
        self.go_on(ring);
        let sleeps = ring.ready() < want && self.again.is_empty() && self.to_start.is_empty();
        let left = match deadline {
            _ if !sleeps => Some(Duration::ZERO),
            Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            None => None,
        };
        let waited = self.wait(ring, left);
        self.tell_state(ring);
        let is_over = || left.is_some_and(|left| left.is_zero());
        let outcome = match waited {
            Err(errno) => Some(Err(errno)),
            Ok(_) if ring.ready() >= want => Some(Ok(())),
            Ok(0) if sleeps && is_over() => Some(Err(libc::ETIME)),
            Ok(_) => None,
        };
        Turn {
            taken,
            to_start: std::mem::take(&mut self.to_start),
            outcome,
        }
    }

    /// Waits for events, and has the operations tried that they are for. Returns how many there were.
    fn wait(&mut self, ring: &Ring, timeout: Option<Duration>) -> Result<usize, i32> {
        let count = self.watches.wait(timeout)?;
        for index in 0..count {
            let (fd, events) = self.watches.event(index);
            self.attempt_all(ring, fd, Some(events));
        }
        self.finish(ring);
        Ok(count)
    }

    /// Moves completions from the overflow into the queue, as far as there is room.
    fn make_room(&mut self, ring: &Ring) {
        while let Some(&completion) = self.overflow.front() {
            // SAFETY: the lock makes this the only producer of the queue.
            if !unsafe { ring.post(completion) } {
                return;
            }
            self.overflow.pop_front();
        }
    }

    /// Publishes whether another enter would bring something to light.
    fn tell_state(&self, ring: &Ring) {
        let overflow = if self.overflow.is_empty() {
            0
        } else {
            sys::SQ_CQ_OVERFLOW
        };
        let more = if self.again.is_empty() {
            0
        } else {
            sys::SQ_TASKRUN
        };
        ring.publish_state(overflow | more);
    }

    fn take_submissions(&mut self, ring: &Ring) -> u32 {
        let count = ring.unsubmitted();
        for _ in 0..count {
            // SAFETY: the lock makes this the only consumer of the queue, which has this many entries.
            let entry = unsafe { ring.take_submission() };
            self.begin(ring, entry);
        }
        count
    }

    fn output<'a>(
        ring: &'a Ring,
        overflow: &'a mut VecDeque<Cqe>,
        group: &'a mut Option<Group>,
    ) -> Output<'a> {
        Output {
            ring,
            overflow,
            group,
        }
    }

    /// Posts the last completion of an entry.
    fn end(&mut self, ring: &Ring, entry: &Sqe, result: i32) {
        Self::output(ring, &mut self.overflow, &mut self.group).end(entry, result);
    }

    /// Begins what an entry asks for.
    fn begin(&mut self, ring: &Ring, entry: Sqe) {
        let mut operation = Operation::new(entry);
        let picks_buffers = entry.flags & SQE_BUFFER_SELECT != 0;
        let is_understood = entry.flags & !KNOWN_FLAGS == 0
            && picks_buffers == (entry.opcode == opcode::Recv::CODE && operation.is_multishot());
        if !is_understood {
            self.end(ring, &entry, -libc::EINVAL);
            return;
        }
        if entry.opcode == opcode::AsyncCancel::CODE {
            let result = self.cancel(ring, &entry);
            self.end(ring, &entry, result);
            return;
        }
        let mut output = Self::output(ring, &mut self.overflow, &mut self.group);
        let step = operation.attempt(None, &mut output);
        self.settle(ring, operation, step);
    }

    /// Does with a new operation what its first step asks for.
    fn settle(&mut self, ring: &Ring, operation: Operation, step: Step) {
        let entry = operation.entry;
        match step {
            Step::Ended(result) => self.end(ring, &entry, result),
            Step::Block => self.start_on_thread(operation),
            Step::Wait | Step::Again => {
                if let Err((operation, errno)) = self.watches.add(operation) {
                    let step = operation.without_readiness(errno);
                    debug_assert!(!matches!(step, Step::Wait | Step::Again));
                    self.settle(ring, operation, step);
                    return;
                }
                let before = self
                    .places
                    .insert(entry.user_data, Place::Waiting(entry.fd));
                debug_assert!(before.is_none(), "two operations of one name");
                if step == Step::Again {
                    self.again.push_back(entry.fd);
                }
            }
        }
    }

    fn start_on_thread(&mut self, operation: Operation) {
        let user_data = operation.entry.user_data;
        let (job, ticket) = self.files.job(operation);
        self.to_start.push(job);
        self.places.insert(user_data, Place::OnThread(ticket));
    }

    /// Tries the operations that wait at a descriptor.
    fn attempt_all(&mut self, ring: &Ring, fd: RawFd, events: Option<u32>) {
        let mut operations = self.watches.take(fd);
        let mut goes_on = false;
        let mut blocked = Vec::new();
        let (places, overflow, group) = (&mut self.places, &mut self.overflow, &mut self.group);
        operations.retain_mut(|operation| {
            if events.is_some_and(|events| !operation.cares_for(events)) {
                return true;
            }
            let mut output = Self::output(ring, overflow, group);
            match operation.attempt(events, &mut output) {
                Step::Wait => return true,
                Step::Again => {
                    goes_on = true;
                    return true;
                }
                Step::Ended(result) => {
                    places.remove(&operation.entry.user_data);
                    output.end(&operation.entry, result);
                }
                Step::Block => blocked.push(operation.clone()),
            }
            false
        });
        if let Err((operations, errno)) = self.watches.put_back(fd, operations) {
            for operation in operations {
                self.places.remove(&operation.entry.user_data);
                self.end(ring, &operation.entry, -errno);
            }
        }
        for operation in blocked {
            self.start_on_thread(operation);
        }
        if goes_on {
            self.again.push_back(fd);
        }
    }

    /// Has those go on, once each, that had more to do.
    fn go_on(&mut self, ring: &Ring) {
        for _ in 0..self.again.len() {
            let Some(fd) = self.again.pop_front() else {
                return;
            };
            self.attempt_all(ring, fd, None);
        }
    }

    /// Completes what threads have done.
    fn finish(&mut self, ring: &Ring) {
        let mut ended = std::mem::take(&mut self.ended);
        self.files.fetch(&mut ended);
        for Ended { operation, result } in ended.drain(..) {
            self.places.remove(&operation.entry.user_data);
            self.end(ring, &operation.entry, result);
        }
        self.ended = ended;
    }

    /// As `IORING_OP_ASYNC_CANCEL`: of one operation by its name, or of all. Returns the result.
    fn cancel(&mut self, ring: &Ring, entry: &Sqe) -> i32 {
        match entry.flags_of_operation {
            0 => self.cancel_one(ring, entry.address),
            CANCEL_ANY => self.cancel_all(ring),
            _ => -libc::EINVAL,
        }
    }

    fn cancel_one(&mut self, ring: &Ring, user_data: u64) -> i32 {
        match self.places.get(&user_data) {
            None => -libc::ENOENT,
            Some(&Place::Waiting(fd)) => {
                self.places.remove(&user_data);
                if let Some(operation) = self.watches.remove(fd, user_data) {
                    self.end(ring, &operation.entry, operation.result_when_cancelled());
                }
                0
            }
            Some(Place::OnThread(ticket)) => {
                if !ticket.withdraw() {
                    return -libc::EALREADY;
                }
                self.places.remove(&user_data);
                self.tell_cancelled(ring, user_data);
                0
            }
        }
    }

    fn tell_cancelled(&mut self, ring: &Ring, user_data: u64) {
        Self::output(ring, &mut self.overflow, &mut self.group).tell(
            user_data,
            -libc::ECANCELED,
            0,
        );
    }

    fn cancel_all(&mut self, ring: &Ring) -> i32 {
        let mut count = 0;
        for (user_data, place) in std::mem::take(&mut self.places) {
            match place {
                Place::Waiting(fd) => {
                    // All at once; none is left for the others of this descriptor.
                    let operations = self.watches.take(fd);
                    for operation in &operations {
                        self.end(ring, &operation.entry, operation.result_when_cancelled());
                    }
                    count += operations.len() as i32;
                    let emptied = self.watches.put_back(fd, Vec::new());
                    debug_assert!(emptied.is_ok());
                }
                Place::OnThread(ticket) if ticket.withdraw() => {
                    count += 1;
                    self.tell_cancelled(ring, user_data);
                }
                begun @ Place::OnThread(_) => {
                    self.places.insert(user_data, begun);
                }
            }
        }
        count
    }
}
