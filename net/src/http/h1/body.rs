//! One body decoder over all framings.

use http::HeaderMap;

use super::chunked::Chunked;
use super::framing::BodyLength;
use super::{Error, Limits};

/// What a stretch of input meant to the body.
#[derive(Debug)]
pub(super) enum Piece<'i> {
    /// The input is used up and the body has not ended.
    NeedMore,
    /// Bytes of the body: a part of the input. Never empty.
    Data(&'i [u8]),
    /// The trailers of a chunked body that has some.
    Trailers(HeaderMap),
    /// The body has ended. Said again each time.
    End,
}

/// The decoder of one body.
#[derive(Debug)]
pub(super) enum Body {
    /// This many bytes are still to come; none for a response without a body.
    Exactly(u64),
    /// Boxed, because a connection without a chunked body should not carry its state about.
    Chunked(Box<Chunked>),
    /// Everything until the connection closes.
    UntilClose,
}

impl Body {
    pub(super) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::None | BodyLength::Tunnel => Self::Exactly(0),
            BodyLength::Exactly(length) => Self::Exactly(length),
            BodyLength::Chunked => Self::Chunked(Box::new(Chunked::new())),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// Decodes from `input` and returns how much of it was used.
    pub(super) fn decode<'i>(
        &mut self,
        input: &'i [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'i>), Error> {
        match self {
            Self::Exactly(0) => Ok((0, Piece::End)),
            _ if input.is_empty() => match self {
                // Only a finished chunked body has something to say without input.
                Self::Chunked(chunked) => chunked.decode(input, limits),
                _ => Ok((0, Piece::NeedMore)),
            },
            Self::Exactly(left) => {
                let length = usize::try_from(*left).map_or(input.len(), |n| n.min(input.len()));
                *left -= length as u64;
                Ok((length, Piece::Data(&input[..length])))
            }
            Self::Chunked(chunked) => chunked.decode(input, limits),
            Self::UntilClose => Ok((input.len(), Piece::Data(input))),
        }
    }

    /// The server has closed the connection: is that the end of the body?
    pub(super) fn eof(&mut self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::UntilClose | Self::Exactly(0) => Ok(()),
            Self::Exactly(missing) => Err(Error::ClosedInBody { missing: *missing }),
            Self::Chunked(chunked) => match chunked.decode(&[], limits)?.1 {
                Piece::End => Ok(()),
                _ => Err(Error::ClosedInChunked),
            },
        }
    }
}
