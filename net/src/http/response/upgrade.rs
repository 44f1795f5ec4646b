//! The connection itself, for another protocol.

use crate::http::transport::Transport;
use crate::io::{AsyncRead, AsyncWrite, BufReader, read_through, write_behind};

/// A connection that has switched protocols; made by [`Response::upgrade`](super::Response::upgrade).
///
/// It reads and writes what the other protocol sends; what came along with the response's head is read
/// first.
#[derive(Debug)]
pub struct Upgraded {
    stream: BufReader<Transport>,
}

impl Upgraded {
    pub(super) fn new(transport: Transport, bytes: Vec<u8>) -> Self {
        let mut stream = BufReader::new(transport);
        stream.unread(bytes.into());
        Self { stream }
    }
}

read_through!(Upgraded, stream);

impl AsyncWrite for Upgraded {
    write_behind!(self => self.stream);
}
