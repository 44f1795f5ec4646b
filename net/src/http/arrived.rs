//! What has arrived of a body and was not handed out.

use std::ops::Range;

use bytes::Bytes;

use crate::RecvBuf;

/// From this size on a piece is handed out in the buffer of the runtime that it arrived in. Smaller ones are copied:
/// a buffer is of 16 KiB by default, and who keeps pieces is not to keep many times as much memory.
const LENT_FROM: usize = 4096;

/// See the module. In one block, as far as it has any: either lent or copied.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// With this there is nothing else.
    lent: Option<RecvBuf>,
    copied: Vec<u8>,
}

/// A part of a body, never empty.
#[derive(Debug)]
pub(super) enum Piece {
    Lent(RecvBuf),
    Copied(Vec<u8>),
}

impl Arrived {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.lent.as_deref().map_or(self.copied.len(), <[u8]>::len)
    }

    /// Takes a part of a buffer, without a copy if that is much and everything that there is.
    pub(super) fn lend(&mut self, mut buffer: RecvBuf, part: Range<usize>) {
        if part.len() < LENT_FROM || !self.is_empty() || self.copied.capacity() > 0 {
            return self.in_memory().extend_from_slice(&buffer[part]);
        }
        buffer.truncate(part.end);
        buffer.advance(part.start);
        self.lent = Some(buffer);
    }

    /// All of it in memory of its own, to be appended to. What has room of its own lends nothing.
    pub(super) fn in_memory(&mut self) -> &mut Vec<u8> {
        if let Some(lent) = self.lent.take() {
            self.copied.extend_from_slice(&lent);
        }
        &mut self.copied
    }

    /// All of it in memory of its own.
    pub(super) fn into_memory(mut self) -> Vec<u8> {
        std::mem::take(self.in_memory())
    }

    /// Takes all of it; `None` when there is nothing.
    pub(super) fn take(&mut self) -> Option<Piece> {
        if let Some(lent) = self.lent.take() {
            return Some(Piece::Lent(lent));
        }
        let mut copied = std::mem::take(&mut self.copied);
        // What a decoder gives has room for much and may be little.
        if copied.len() < copied.capacity() / 2 {
            copied.shrink_to_fit();
        }
        (!copied.is_empty()).then_some(Piece::Copied(copied))
    }
}

impl From<Piece> for Bytes {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Lent(buffer) => Self::from_owner(buffer),
            Piece::Copied(bytes) => bytes.into(),
        }
    }
}

impl From<Piece> for RecvBuf {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Lent(buffer) => buffer,
            Piece::Copied(bytes) => bytes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(length: usize) -> RecvBuf {
        (0..length).map(|n| n as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn much_is_lent_and_little_is_copied() {
        let mut arrived = Arrived::default();
        arrived.lend(buffer(10_000), 100..9000);
        assert_eq!(arrived.len(), 8900);
        let piece = arrived.take();
        let Some(Piece::Lent(lent)) = piece else {
            panic!("it was copied: {piece:?}");
        };
        assert_eq!(*lent, buffer(10_000)[100..9000]);
        assert!(arrived.is_empty() && arrived.take().is_none());
        arrived.lend(buffer(10_000), 0..LENT_FROM - 1);
        assert!(matches!(arrived.take(), Some(Piece::Copied(_))));
    }

    #[test]
    fn what_comes_behind_is_behind() {
        let mut arrived = Arrived::default();
        arrived.lend(buffer(5000), 0..5000);
        arrived.lend(buffer(5000), 1..5000);
        arrived.in_memory().push(7);
        let expected = [&buffer(5000)[..], &buffer(5000)[1..], &[7]].concat();
        assert_eq!(arrived.into_memory(), expected);
    }
}
