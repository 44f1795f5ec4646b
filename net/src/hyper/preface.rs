//! Which HTTP a client speaks, by its first bytes.

use std::io;
use std::task::{Context, Poll, ready};

use crate::RecvBuf;
use crate::io::AsyncRead;

/// What a client of HTTP/2 begins with ([RFC 9113, 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)). No request
/// of HTTP/1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// The first bytes of a connection, as far as they are looked at: no more than the preface is long, in as many pieces as
/// they came.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pieces: Vec<RecvBuf>,
    seen: usize,
}

impl Opening {
    /// Polls for the first bytes, and gives them back to the reader when they say what is spoken. `None`: the client has
    /// gone without a word.
    pub(super) fn poll<R: AsyncRead>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Protocol>>> {
        loop {
            let Some(bytes) = ready!(reader.poll_recv(cx))? else {
                let begun = self.seen > 0;
                self.give_back(reader);
                // What is there of a head is for the parser to complain of.
                return Poll::Ready(Ok(begun.then_some(Protocol::Http1)));
            };
            let expected = &PREFACE[self.seen..];
            let count = bytes.len().min(expected.len());
            let agrees = bytes[..count] == expected[..count];
            self.seen += count;
            self.pieces.push(bytes);
            let protocol = match agrees {
                false => Protocol::Http1,
                true if self.seen == PREFACE.len() => Protocol::Http2,
                true => continue,
            };
            self.give_back(reader);
            return Poll::Ready(Ok(Some(protocol)));
        }
    }

    /// Whether anything has come.
    pub(super) fn has_begun(&self) -> bool {
        self.seen > 0
    }

    fn give_back<R: AsyncRead>(&mut self, reader: &mut R) {
        while let Some(piece) = self.pieces.pop() {
            reader.unread(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::task::Waker;

    /// Bytes in pieces; then the end.
    struct Pieces(VecDeque<RecvBuf>);

    impl AsyncRead for Pieces {
        fn poll_recv(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
            Poll::Ready(Ok(self.0.pop_front()))
        }

        fn unread(&mut self, bytes: RecvBuf) {
            self.0.push_front(bytes);
        }
    }

    fn detected(bytes: &[u8], piece: usize) -> Option<Protocol> {
        let pieces = bytes
            .chunks(piece)
            .map(|piece| RecvBuf::from(piece.to_vec()));
        let mut reader = Pieces(pieces.collect());
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(protocol)) = Opening::default().poll(&mut reader, &mut cx) else {
            panic!("it waits for more than the end");
        };
        let rest: Vec<u8> = reader.0.iter().flat_map(|piece| piece.to_vec()).collect();
        assert_eq!(rest, bytes, "nothing is lost, and the order is kept");
        protocol
    }

    /// Control: give the pieces back from the front.
    #[test]
    fn in_any_pieces() {
        let h2 = [PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
        for piece in 1..40 {
            assert_eq!(detected(&h2, piece), Some(Protocol::Http2));
            assert_eq!(
                detected(b"PRI * HTTP/1.1\r\n\r\n", piece),
                Some(Protocol::Http1)
            );
            assert_eq!(
                detected(b"POST / HTTP/1.1\r\n\r\n", piece),
                Some(Protocol::Http1)
            );
            // Cut short within what both have in common.
            assert_eq!(detected(b"PRI * HT", piece), Some(Protocol::Http1));
        }
        assert_eq!(detected(b"", 1), None);
    }
}
