//! Receiving, which is the same for both kinds of channels.

use super::chan::{Chan, Limit, Shared};
use super::error::TryRecvError;
use super::list::{Consumer, Popped};
use heist_runtime::scope::Leaf;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The receiving end.
pub(super) struct Receive<T, L: Limit> {
    consumer: Consumer<T, Shared<L>>,
}

impl<T, L: Limit> Receive<T, L> {
    pub(super) fn new(consumer: Consumer<T, Shared<L>>) -> Self {
        Self { consumer }
    }

    pub(super) fn chan(&self) -> &Chan<T, L> {
        &self.consumer
    }

    pub(super) fn len(&self) -> usize {
        self.consumer.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        L::is_closed(self.chan()) || self.consumer.is_over()
    }

    /// Lets nobody send any more, but for those who are entitled to already.
    pub(super) fn close(&mut self) {
        L::close(self.chan());
        self.chan().shared.open.close();
    }

    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        loop {
            match self.consumer.pop_settled() {
                Popped::Value(value) => {
                    L::received(self.chan(), 1);
                    return Ok(value);
                }
                Popped::End => return Err(TryRecvError::Disconnected),
                Popped::Empty if !self.is_finished() => return Err(TryRecvError::Empty),
                Popped::Empty if self.consumer.has_caught_up() => {
                    return Err(TryRecvError::Disconnected);
                }
                // Since the look at the queue somebody has claimed a place: with the last item
                // before the end, or for a mark, as the last sender does when it goes.
                Popped::Empty => {}
            }
        }
    }

    pub(super) fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        loop {
            match self.consumer.pop() {
                Popped::Value(value) => {
                    L::received(self.chan(), 1);
                    return Poll::Ready(Some(value));
                }
                Popped::End => return Poll::Ready(None),
                Popped::Empty => {
                    if self.is_drained() {
                        return Poll::Ready(None);
                    }
                    // Whoever makes it drained from now on fills the slot that is waited for.
                    if self.consumer.wait(cx.waker()) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    pub(super) fn poll_recv_many(
        &mut self,
        cx: &Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        if limit == 0 {
            return Poll::Ready(0);
        }
        let Some(first) = ready!(self.poll_recv(cx)) else {
            return Poll::Ready(0);
        };
        buffer.push(first);
        let mut received = 1;
        while received < limit
            && let Popped::Value(value) = self.consumer.pop()
        {
            buffer.push(value);
            received += 1;
        }
        if received > 1 {
            L::received(self.chan(), received - 1);
        }
        Poll::Ready(received)
    }

    /// The same for who polls without a future of ours: it may not receive in a cancelled scope. That is asked
    /// at every poll, since nothing says where a wait begins, and loses nothing, since the item stays.
    pub(super) fn poll_recv_from(&mut self, cx: &Context<'_>, leaf: Leaf) -> Poll<Option<T>> {
        ready!(leaf.start());
        match self.poll_recv(cx) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    pub(super) fn poll_recv_many_from(
        &mut self,
        cx: &Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
        leaf: Leaf,
    ) -> Poll<usize> {
        ready!(leaf.start());
        match self.poll_recv_many(cx, buffer, limit) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    /// Whether the channel was closed and nothing more can come.
    fn is_drained(&self) -> bool {
        // In this order: once nobody is entitled to send, what was sent has its place.
        self.is_finished() && self.consumer.has_caught_up()
    }

    /// Whether the channel was closed and no item will be sent any more. Some may be in the queue.
    fn is_finished(&self) -> bool {
        L::is_closed(self.chan()) && L::is_idle(self.chan())
    }
}

impl<T, L: Limit> Drop for Receive<T, L> {
    fn drop(&mut self) {
        self.close();
        // What is still being sent is dropped with the channel.
        while let Popped::Value(value) = self.consumer.pop() {
            L::received(self.chan(), 1);
            drop(value);
        }
    }
}

/// Waits for an item.
pub(super) struct Recv<'r, T, L: Limit> {
    receive: &'r mut Receive<T, L>,
    started: bool,
    leaf: Leaf,
}

/// Waits for items.
pub(super) struct RecvMany<'r, T, L: Limit> {
    recv: Recv<'r, T, L>,
    buffer: &'r mut Vec<T>,
    limit: usize,
}

impl<'r, T, L: Limit> Recv<'r, T, L> {
    pub(super) fn new(receive: &'r mut Receive<T, L>, leaf: Leaf) -> Self {
        Self {
            receive,
            started: false,
            leaf,
        }
    }

    pub(super) fn many(self, buffer: &'r mut Vec<T>, limit: usize) -> RecvMany<'r, T, L> {
        RecvMany {
            recv: self,
            buffer,
            limit,
        }
    }

    fn start(&mut self) -> Poll<()> {
        if !self.started {
            ready!(self.leaf.start());
            self.started = true;
        }
        Poll::Ready(())
    }
}

impl<T, L: Limit> Future for Recv<'_, T, L> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.start());
        match self.receive.poll_recv(cx) {
            Poll::Pending => self.leaf.pending(),
            ready => ready,
        }
    }
}

impl<T, L: Limit> Future for RecvMany<'_, T, L> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        ready!(this.recv.start());
        let received = this
            .recv
            .receive
            .poll_recv_many(cx, this.buffer, this.limit);
        match received {
            Poll::Pending => this.recv.leaf.pending(),
            ready => ready,
        }
    }
}

/// The methods that both receivers have.
macro_rules! receiver_methods {
    () => {
        /// Waits for the next item. `None` when there will be none any more: all senders were
        /// dropped, or the channel was [closed](Self::close), and everything that was sent has been
        /// received. `asyncio.Queue.get`.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future loses nothing: an item leaves the channel only with the poll that
        /// returns it.
        #[track_caller]
        pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
            Recv::new(&mut self.receive, Leaf::here())
        }

        /// Waits until there are items, and appends those that there are to `buffer`, up to `limit`.
        /// Returns how many; 0 when there will be none any more, or `limit` is 0.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future loses nothing, and `buffer` is as it was.
        #[track_caller]
        pub fn recv_many<'r>(
            &'r mut self,
            buffer: &'r mut Vec<T>,
            limit: usize,
        ) -> impl Future<Output = usize> + use<'r, T> {
            Recv::new(&mut self.receive, Leaf::here()).many(buffer, limit)
        }

        /// Receives the next item if there is one, without waiting for one to be sent.
        ///
        /// If a sender is being interrupted in the middle of sending, the items behind its own have
        /// to wait for it, and so does this.
        ///
        /// # Errors
        ///
        /// [`TryRecvError::Empty`] if there is no item, [`TryRecvError::Disconnected`] if there will be
        /// none either.
        pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
            self.receive.try_recv()
        }

        /// Receives the next item, blocking the thread until there is one. For threads outside the
        /// runtime.
        ///
        /// # Panics
        ///
        /// In a task.
        #[track_caller]
        pub fn blocking_recv(&mut self) -> Option<T> {
            blocking::wait(self.recv())
        }

        /// Receives items as [`recv_many`](Self::recv_many), blocking the thread until there are some.
        ///
        /// # Panics
        ///
        /// In a task.
        #[track_caller]
        pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
            blocking::wait(self.recv_many(buffer, limit))
        }

        /// As [`recv`](Self::recv), for hand-written futures. Only the waker of the last call is woken.
        ///
        /// In a cancelled scope it receives nothing, and what there is stays in the channel. (tokio
        /// has no scopes.)
        #[track_caller]
        pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
            self.receive.poll_recv_from(cx, Leaf::here())
        }

        /// As [`recv_many`](Self::recv_many), for hand-written futures.
        ///
        /// In a cancelled scope it receives nothing, as [`poll_recv`](Self::poll_recv).
        #[track_caller]
        pub fn poll_recv_many(
            &mut self,
            cx: &mut Context<'_>,
            buffer: &mut Vec<T>,
            limit: usize,
        ) -> Poll<usize> {
            self.receive
                .poll_recv_many_from(cx, buffer, limit, Leaf::here())
        }

        /// Polls for a stream around it, which waits where it was made.
        pub(crate) fn poll_recv_from(&mut self, cx: &Context<'_>, leaf: Leaf) -> Poll<Option<T>> {
            self.receive.poll_recv_from(cx, leaf)
        }

        /// Whether the channel was closed by the receiver, or all senders were dropped. Items may be
        /// left.
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.receive.is_closed()
        }

        /// Whether no item is there now.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// How many items there are now, those that are just being sent included.
        #[must_use]
        pub fn len(&self) -> usize {
            self.receive.len()
        }

        /// How many senders there are.
        #[must_use]
        pub fn sender_strong_count(&self) -> usize {
            self.receive.chan().shared.strong_count()
        }

        /// How many weak senders there are.
        #[must_use]
        pub fn sender_weak_count(&self) -> usize {
            self.receive.chan().shared.weak_count()
        }
    };
}

pub(super) use receiver_methods;
