//! Bytes that were put back.

use std::ops::Deref;

use crate::RecvBuf;

/// What comes before the source: bytes that were read from it and put back, or looked at and not yet taken. An
/// implementation of [`AsyncRead`](super::AsyncRead) keeps one, and asks it first. It dereferences to the bytes.
///
/// ```
/// use heist_net::io::Unread;
///
/// let mut unread = Unread::new();
/// unread.put_back(b"world".to_vec().into());
/// unread.put_back(b"hello ".to_vec().into());
/// unread.consume(1);
/// assert_eq!(&*unread, b"ello world");
/// assert_eq!(unread.take().as_deref(), Some(&b"ello world"[..]));
/// assert!(unread.take().is_none());
/// ```
#[derive(Debug, Default)]
pub struct Unread {
    /// Never empty.
    bytes: Option<RecvBuf>,
}

impl Unread {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: None }
    }

    /// Puts bytes in front. Without a copy, unless there are some already.
    pub fn put_back(&mut self, bytes: RecvBuf) {
        if bytes.is_empty() {
            return;
        }
        self.bytes = Some(match self.bytes.take() {
            None => bytes,
            Some(behind) => RecvBuf::from([&*bytes, &*behind].concat()),
        });
    }

    /// Takes all of it; `None` when there is nothing.
    pub fn take(&mut self) -> Option<RecvBuf> {
        self.bytes.take()
    }

    /// Takes the first `count` bytes and forgets them.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more bytes consumed than were shown");
        if count == self.len() {
            self.bytes = None;
        } else if let Some(bytes) = &mut self.bytes {
            bytes.advance(count);
        }
    }
}

impl Deref for Unread {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}
