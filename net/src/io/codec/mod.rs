//! Messages in a stream of bytes, in tokio-util's names.
//!
//! A [`Decoder`] and an [`Encoder`] know how messages look as bytes, and nothing of I/O: they are tested, and fuzzed,
//! on bytes alone. [`FramedRead`], [`FramedWrite`] and [`Framed`] put them on a reader or writer.
//!
//! - [`BytesCodec`]: bytes as they come
//! - [`LinesCodec`]: lines, up to a length
//! - [`LengthDelimitedCodec`]: a length before each message

mod framed;
mod framed_write;
mod bytes;
mod lines;
mod length_delimited;

pub use self::bytes::BytesCodec;
pub use framed::{Framed, FramedRead};
pub use framed_write::FramedWrite;
pub use length_delimited::{Builder, LengthDelimitedCodec, LengthDelimitedCodecError};
pub use lines::{LinesCodec, LinesCodecError};

use std::io;

use ::bytes::BytesMut;

/// Takes messages out of bytes. It may be given any number of bytes at a time, and remembers how far it has looked.
pub trait Decoder {
    /// A message.
    type Item;

    /// Why bytes are no message.
    type Error: From<io::Error>;

    /// Takes the next message off the front of `src`; `None` when more bytes are needed, of which it takes none then
    /// unless it keeps them itself.
    ///
    /// # Errors
    ///
    /// When the bytes are no message. Whether more may be decoded afterwards is up to the decoder.
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error>;

    /// As [`decode`](Self::decode), when no more bytes will come. Called until it yields `None`.
    ///
    /// # Errors
    ///
    /// As there; by default bytes that are left over are an error, of the kind `UnexpectedEof`.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        match self.decode(src)? {
            Some(item) => Ok(Some(item)),
            None if src.is_empty() => Ok(None),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the stream ended inside a message",
            )
            .into()),
        }
    }
}

/// Puts messages of a type into bytes.
pub trait Encoder<Item> {
    /// Why a message has no bytes.
    type Error: From<io::Error>;

    /// Appends `item` to `dst`.
    ///
    /// # Errors
    ///
    /// When it has no such form; `dst` is as it was then.
    fn encode(&mut self, item: Item, dst: &mut BytesMut) -> Result<(), Self::Error>;
}
