//! Lines, up to a length.

use std::{error, fmt, io};

use bytes::{Buf, BytesMut};

use super::{Decoder, Encoder};

/// Lines of UTF-8, decoded without their ends (`\n` or `\r\n`) and encoded with `\n`. The last one needs none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinesCodec {
    /// Bytes at the front that have no line feed.
    seen: usize,
    max_length: usize,
    /// Within a line that was too long.
    is_discarding: bool,
}

/// Why there is no line.
#[derive(Debug)]
pub enum LinesCodecError {
    /// It is longer than the limit; what comes next is the line behind it.
    MaxLineLengthExceeded,
    /// Reading or writing failed, or the line is not UTF-8 (`InvalidData`).
    Io(io::Error),
}

impl LinesCodec {
    /// Lines of any length, which a peer can use to exhaust the memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::new_with_max_length(usize::MAX)
    }

    /// Lines of at most `max_length` bytes, without their end. A longer one is an error, and is skipped without being
    /// kept.
    #[must_use]
    pub const fn new_with_max_length(max_length: usize) -> Self {
        Self {
            seen: 0,
            max_length,
            is_discarding: false,
        }
    }

    /// The limit; `usize::MAX` for none.
    #[must_use]
    pub const fn max_length(&self) -> usize {
        self.max_length
    }

    /// Skips to the end of a line that was too long. Returns whether it was there.
    fn discard(&mut self, src: &mut BytesMut) -> bool {
        let end = memchr::memchr(b'\n', src);
        src.advance(end.map_or(src.len(), |at| at + 1));
        self.is_discarding = end.is_none();
        end.is_some()
    }

    fn too_long(&mut self) -> LinesCodecError {
        self.is_discarding = true;
        self.seen = 0;
        LinesCodecError::MaxLineLengthExceeded
    }
}

/// A line without its end.
fn text(line: &[u8]) -> Result<String, LinesCodecError> {
    let line = std::str::from_utf8(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8"))?;
    Ok(line.to_owned())
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Decoder for LinesCodec {
    type Item = String;
    type Error = LinesCodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        if self.is_discarding && !self.discard(src) {
            return Ok(None);
        }
        let Some(at) = memchr::memchr(b'\n', &src[self.seen..]) else {
            // It may still end in a carriage return, which does not count.
            if without_cr(src).len() > self.max_length {
                let error = self.too_long();
                self.discard(src);
                return Err(error);
            }
            self.seen = src.len();
            return Ok(None);
        };
        let end = self.seen + at;
        self.seen = 0;
        if without_cr(&src[..end]).len() > self.max_length {
            let error = self.too_long();
            self.discard(src);
            return Err(error);
        }
        let line = src.split_to(end + 1);
        text(without_cr(&line[..end])).map(Some)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<String>, LinesCodecError> {
        if let Some(line) = self.decode(src)? {
            return Ok(Some(line));
        }
        self.seen = 0;
        if src.is_empty() {
            return Ok(None);
        }
        let line = src.split();
        text(without_cr(&line)).map(Some)
    }
}

impl<T: AsRef<str>> Encoder<T> for LinesCodec {
    type Error = LinesCodecError;

    fn encode(&mut self, item: T, dst: &mut BytesMut) -> Result<(), LinesCodecError> {
        let line = item.as_ref().as_bytes();
        dst.reserve(line.len() + 1);
        dst.extend_from_slice(line);
        dst.extend_from_slice(b"\n");
        Ok(())
    }
}

impl Default for LinesCodec {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LinesCodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxLineLengthExceeded => f.write_str("a line is longer than the limit"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for LinesCodecError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::MaxLineLengthExceeded => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<io::Error> for LinesCodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
