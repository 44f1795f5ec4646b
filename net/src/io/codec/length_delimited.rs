//! A length before each message.

use std::{error, fmt, io};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Decoder, Encoder};

/// A number of bytes, and then so many bytes. By default the number has four bytes, the most significant first, and a
/// message at most 8 MiB, as in tokio-util.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use heist_net::io::codec::{Decoder, Encoder, LengthDelimitedCodec};
///
/// let mut codec = LengthDelimitedCodec::builder().length_field_length(2).new_codec();
/// let mut bytes = BytesMut::new();
/// codec.encode(Bytes::from("hello"), &mut bytes)?;
/// assert_eq!(&*bytes, b"\x00\x05hello");
/// assert_eq!(codec.decode(&mut bytes)?.unwrap(), "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LengthDelimitedCodec {
    builder: Builder,
    /// Of the message whose length has been read.
    expected: Option<usize>,
}

/// Settings of a [`LengthDelimitedCodec`].
#[derive(Debug, Clone, Copy)]
pub struct Builder {
    max_frame_length: usize,
    length_field_length: usize,
    is_little_endian: bool,
}

/// A message is longer than the limit; inside of an [`io::Error`] of the kind `InvalidData`, or `InvalidInput` for one
/// that was to be sent.
#[derive(Debug)]
pub struct LengthDelimitedCodecError(());

impl LengthDelimitedCodec {
    /// The default settings.
    #[must_use]
    pub fn new() -> Self {
        Builder::new().new_codec()
    }

    /// Other settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The longest message, in bytes.
    #[must_use]
    pub fn max_frame_length(&self) -> usize {
        self.builder.max_frame_length
    }

    /// Changes the longest message, for those whose length has not been read.
    pub fn set_max_frame_length(&mut self, bytes: usize) {
        self.builder.max_frame_length = bytes;
    }
}

impl Builder {
    /// The default settings.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_frame_length: 8 * 1024 * 1024,
            length_field_length: 4,
            is_little_endian: false,
        }
    }

    /// The most significant byte of the length comes first (the default).
    pub fn big_endian(&mut self) -> &mut Self {
        self.is_little_endian = false;
        self
    }

    /// The least significant byte of the length comes first.
    pub fn little_endian(&mut self) -> &mut Self {
        self.is_little_endian = true;
        self
    }

    /// The longest message, in bytes (default: 8 MiB).
    pub fn max_frame_length(&mut self, bytes: usize) -> &mut Self {
        self.max_frame_length = bytes;
        self
    }

    /// How many bytes the length has (default: 4).
    ///
    /// # Panics
    ///
    /// Unless it is 1 to 8.
    pub fn length_field_length(&mut self, bytes: usize) -> &mut Self {
        assert!(
            (1..=8).contains(&bytes),
            "the field of the length has 1 to 8 bytes"
        );
        self.length_field_length = bytes;
        self
    }

    /// A codec with these settings.
    #[must_use]
    pub fn new_codec(&self) -> LengthDelimitedCodec {
        LengthDelimitedCodec {
            builder: *self,
            expected: None,
        }
    }

    /// The longest message that the field can tell.
    fn limit(&self) -> u64 {
        let field = u64::MAX >> (64 - 8 * self.length_field_length);
        field.min(self.max_frame_length as u64)
    }
}

fn too_long(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, LengthDelimitedCodecError(()))
}

impl Decoder for LengthDelimitedCodec {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let length = match self.expected {
            Some(length) => length,
            None => {
                let field = self.builder.length_field_length;
                if src.len() < field {
                    return Ok(None);
                }
                let mut bytes = &src[..field];
                let length = if self.builder.is_little_endian {
                    bytes.get_uint_le(field)
                } else {
                    bytes.get_uint(field)
                };
                let length = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= self.builder.max_frame_length)
                    // The bytes stay: an error once is one for ever.
                    .ok_or_else(|| too_long(io::ErrorKind::InvalidData))?;
                src.advance(field);
                self.expected = Some(length);
                length
            }
        };
        // Memory is taken for what has come, not for what the peer says will: that costs it nothing.
        if src.len() < length {
            return Ok(None);
        }
        self.expected = None;
        Ok(Some(src.split_to(length)))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        match self.decode(src)? {
            Some(item) => Ok(Some(item)),
            None if src.is_empty() && self.expected.is_none() => Ok(None),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the stream ended inside a message",
            )),
        }
    }
}

impl Encoder<Bytes> for LengthDelimitedCodec {
    type Error = io::Error;

    fn encode(&mut self, item: Bytes, dst: &mut BytesMut) -> io::Result<()> {
        let length = item.len() as u64;
        if length > self.builder.limit() {
            return Err(too_long(io::ErrorKind::InvalidInput));
        }
        let field = self.builder.length_field_length;
        dst.reserve(field + item.len());
        if self.builder.is_little_endian {
            dst.put_uint_le(length, field);
        } else {
            dst.put_uint(length, field);
        }
        dst.extend_from_slice(&item);
        Ok(())
    }
}

impl Default for LengthDelimitedCodec {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LengthDelimitedCodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message is longer than max_frame_length, or than its field can tell")
    }
}

impl error::Error for LengthDelimitedCodecError {}
