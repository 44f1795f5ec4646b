//! A descriptor that tasks wait for.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{self, Op, PollReady, SharedFd};
use heist_runtime::scope::{Leaf, leaf_fn};

use super::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use crate::io::{Interest, Ready};

/// A descriptor, of whatever kind, that tasks can wait for: what libraries with descriptors of their own are put on the ring
/// with. After tokio's.
///
/// A wait yields a guard, with which the program tries what it wants to do
/// ([`try_io`](AsyncFdReadyGuard::try_io)); if that would block, the guard forgets that the descriptor was ready, and the next
/// wait asks the kernel again. The descriptor has to be non-blocking (`O_NONBLOCK`) for that. Any number of tasks may wait at
/// a time.
///
/// Differs from tokio's: `T` is [`AsFd`], so that no descriptor is used that others have closed, and a duplicate of the
/// descriptor is waited for. The kernel is asked for what holds now and not for changes, so no readiness is ever missed.
///
/// # Cancel safety
///
/// Waits lose nothing. A closure runs within one poll that returns its result.
///
/// # Examples
///
/// ```
/// use heist_net::io::unix::AsyncFd;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # heist_runtime::block_on(async {
/// let (here, mut there) = UnixStream::pair()?;
/// here.set_nonblocking(true)?;
/// let here = AsyncFd::new(here)?;
/// there.write_all(b"hello")?;
///
/// let mut bytes = [0; 8];
/// let count = loop {
///     let mut guard = here.readable().await?;
///     match guard.try_io(|fd| fd.get_ref().read(&mut bytes)) {
///         Ok(read) => break read?,
///         Err(_would_block) => continue,
///     }
/// };
/// assert_eq!(&bytes[..count], b"hello");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
pub struct AsyncFd<T: AsFd> {
    inner: T,
    /// Operations own what they work on, and `inner` need not leave its descriptor open.
    fd: SharedFd,
    /// What the kernel has said and nobody has found otherwise.
    known: AtomicU8,
    /// The waits of those who poll by hand.
    reading: Mutex<Option<Op<PollReady>>>,
    writing: Mutex<Option<Op<PollReady>>>,
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<T: AsFd> AsyncFd<T> {
    /// Takes over something with a descriptor.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors; `inner` is dropped.
    pub fn new(inner: T) -> io::Result<Self> {
        let fd = SharedFd::new(inner.as_fd().try_clone_to_owned()?);
        Ok(Self {
            inner,
            fd,
            known: AtomicU8::new(0),
            reading: Mutex::new(None),
            writing: Mutex::new(None),
        })
    }

    /// As [`new`](Self::new). Kept for the shape of tokio's: here each wait says what it is for, and `interest` means
    /// nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn with_interest(inner: T, _interest: Interest) -> io::Result<Self> {
        Self::new(inner)
    }

    /// What it was made of.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What it was made of.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// What it was made of, for itself.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// What is known to be ready of what `interest` asks for.
    fn known(&self, interest: Interest) -> Ready {
        // Acquire and Release order nothing that matters: the bits are hints, and the kernel is asked by the call that is
        // tried.
        Ready(self.known.load(Ordering::Acquire)) & interest.mask()
    }

    fn learn(&self, events: u32, interest: Interest) -> Ready {
        let ready = Ready::of_events(events, interest);
        self.known.fetch_or(ready.0, Ordering::AcqRel);
        ready & interest.mask()
    }

    pub(super) fn forget(&self, ready: Ready) {
        self.known.fetch_and(!ready.0, Ordering::AcqRel);
    }

    /// Waits until something of `interest` holds, and tells what.
    async fn wait(&self, interest: Interest) -> io::Result<Ready> {
        let known = leaf_fn(|_| Poll::Ready(self.known(interest))).await;
        if !known.is_empty() {
            return Ok(known);
        }
        let events = ops::poll_ready(&self.fd, interest.events()).await?;
        Ok(self.learn(events, interest))
    }

    /// Waits until something of `interest` holds.
    ///
    /// # Errors
    ///
    /// Those of the kernel when it cannot be waited for.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let ready = self.wait(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, ready))
    }

    /// As [`ready`](Self::ready), with a guard that lends the inside mutably.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let ready = self.wait(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, ready))
    }

    /// Waits until there is something to be read, or the end, or an error.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// As [`readable`](Self::readable), with a guard that lends the inside mutably.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until something can be written, or nobody reads, or there is an error.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// As [`writable`](Self::writable), with a guard that lends the inside mutably.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Calls `call` whenever something of `interest` holds, until it does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `call`, and as for [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// Dropped, no call has done anything.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let mut guard = self.ready(interest).await?;
            if let Ok(outcome) = guard.try_io(|fd| call(fd.get_ref())) {
                return outcome;
            }
        }
    }

    /// As [`async_io`](Self::async_io), with the inside lent mutably.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut call: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let mut guard = self.ready_mut(interest).await?;
            if let Ok(outcome) = guard.try_io(|fd| call(fd.get_mut())) {
                return outcome;
            }
        }
    }

    /// Calls `call`, and notes it when that would block. Unlike tokio's it always calls, as there is no knowing otherwise.
    ///
    /// # Errors
    ///
    /// Those of `call`.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let outcome = call(&self.inner);
        self.note(interest, &outcome);
        outcome
    }

    /// As [`try_io`](Self::try_io), with the inside lent mutably.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        call: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let outcome = call(&mut self.inner);
        self.note(interest, &outcome);
        outcome
    }

    fn note<R>(&self, interest: Interest, outcome: &io::Result<R>) {
        if would_block(outcome) {
            self.forget(interest.mask());
        }
    }

    /// Polls as [`readable`](Self::readable). Of those who poll by hand only the last is woken.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let ready = ready!(self.poll(cx, Interest::READABLE, &self.reading))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, ready)))
    }

    /// As [`poll_read_ready`](Self::poll_read_ready), with a guard that lends the inside mutably.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_read_ready_mut(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let ready = ready!(self.poll(cx, Interest::READABLE, &self.reading))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, ready)))
    }

    /// Polls as [`writable`](Self::writable). Of those who poll by hand only the last is woken.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let ready = ready!(self.poll(cx, Interest::WRITABLE, &self.writing))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, ready)))
    }

    /// As [`poll_write_ready`](Self::poll_write_ready), with a guard that lends the inside mutably.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn poll_write_ready_mut(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let ready = ready!(self.poll(cx, Interest::WRITABLE, &self.writing))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, ready)))
    }

    #[track_caller]
    fn poll(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        wait: &Mutex<Option<Op<PollReady>>>,
    ) -> Poll<io::Result<Ready>> {
        ready!(Leaf::here().start());
        let known = self.known(interest);
        if !known.is_empty() {
            return Poll::Ready(Ok(known));
        }
        let mut wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
        let op = wait.get_or_insert_with(|| ops::poll_ready(&self.fd, interest.events()));
        let events = ready!(Pin::new(op).poll(cx));
        *wait = None;
        Poll::Ready(Ok(self.learn(events?, interest)))
    }
}

pub(super) fn would_block<R>(outcome: &io::Result<R>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
