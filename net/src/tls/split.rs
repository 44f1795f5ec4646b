//! The two halves of a TLS connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::stream::TlsStream;
use crate::RecvBuf;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite, Unread, shown_unread, write_behind};

/// The reading half of a [`TlsStream`], from [`TlsStream::into_split`].
#[derive(Debug)]
pub struct ReadHalf<S> {
    shared: Arc<Mutex<TlsStream<S>>>,
    /// What was put back, or is shown by `poll_fill_buf`, which cannot lend what is behind the lock.
    unread: Unread,
}

/// The writing half of a [`TlsStream`], from [`TlsStream::into_split`].
///
/// Dropping it does not end the direction: that takes a
/// [`shutdown`](crate::io::AsyncWriteExt::shutdown), which may have to wait.
#[derive(Debug)]
pub struct WriteHalf<S> {
    shared: Arc<Mutex<TlsStream<S>>>,
}

pub(super) fn split<S>(stream: TlsStream<S>) -> (ReadHalf<S>, WriteHalf<S>) {
    let shared = Arc::new(Mutex::new(stream));
    let read = ReadHalf {
        shared: shared.clone(),
        unread: Unread::new(),
    };
    (read, WriteHalf { shared })
}

/// Locked within a poll, and never across one.
fn lock<S>(shared: &Mutex<TlsStream<S>>) -> MutexGuard<'_, TlsStream<S>> {
    // Should what is below panic, the other half meets it in the state it has left.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> ReadHalf<S> {
    /// Whether the halves belong together.
    #[must_use]
    pub fn is_pair_of(&self, other: &WriteHalf<S>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<S: AsyncRead + AsyncWrite> ReadHalf<S> {
    /// Puts the halves of one connection together again.
    ///
    /// # Panics
    ///
    /// When they belong to different connections; see [`is_pair_of`](Self::is_pair_of).
    #[must_use]
    #[track_caller]
    pub fn unsplit(mut self, other: WriteHalf<S>) -> TlsStream<S> {
        assert!(
            self.is_pair_of(&other),
            "the two halves belong to different connections"
        );
        drop(other);
        let stream = Arc::into_inner(self.shared).expect("there are no more than two halves");
        let mut stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = self.unread.take() {
            stream.unread(bytes);
        }
        stream
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for ReadHalf<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        match self.unread.take() {
            Some(bytes) => Poll::Ready(Ok(Some(bytes))),
            None => lock(&self.shared).poll_recv(cx),
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            return lock(&self.shared).poll_read(cx, into);
        }
        let count = self.unread.len().min(into.len());
        into[..count].copy_from_slice(&self.unread[..count]);
        self.unread.consume(count);
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncBufRead for ReadHalf<S> {
    shown_unread!();
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for WriteHalf<S> {
    write_behind!(self => lock(&self.shared));
}
