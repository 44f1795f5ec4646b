//! The chunked transfer coding ([RFC 9112, section 7.1]), decoded incrementally.
//!
//! The grammar is taken literally, since this is where two readers of one connection would come to
//! disagree: at most 16 hexadecimal digits, exactly CRLF everywhere, no bare CR or LF anywhere.
//!
//! [RFC 9112, section 7.1]: https://www.rfc-editor.org/rfc/rfc9112#section-7.1

use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::{EMPTY_HEADER, Status};

use super::body::Piece;
use super::{Error, Limits};

/// A decoder of one chunked body.
#[derive(Debug)]
pub(super) struct Chunked {
    phase: Phase,
    /// Bytes of extensions seen over the whole body.
    extensions: usize,
    /// The trailer section so far, without its final CRLF.
    trailers: Vec<u8>,
}

/// Where in the grammar the next byte stands.
///
/// ```text
///          +------------------------ data, CR, LF -----------------------+
///          v                                                             |
///        Size --digits--> Size --SP/HT--> Padding --;--> Extension       |
///                          |                 |              |            |
///                          +-------- CR -----+------ CR ----+            |
///                                     v                                  |
///                                  SizeLf --size > 0--> Data --> DataCr --> DataLf
///                                     |
///                                  size = 0
///                                     v
///          +----------------> TrailerStart --CR--> FinalLf --LF--> Finished
///          |                          |
///          +-- LF -- TrailerLine <----+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Size { digits: u32, size: u64 },
    Padding { size: u64 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerLine { after_cr: bool },
    FinalLf,
    Finished,
}

/// 16 digits are 64 bits, so a size that passes this cannot overflow.
const MOST_DIGITS: u32 = 16;

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Size { digits: 0, size: 0 },
            extensions: 0,
            trailers: Vec::new(),
        }
    }

    /// Reads on until there is something to report. Returns the number of bytes used with it.
    pub(super) fn decode<'i>(
        &mut self,
        input: &'i [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'i>), Error> {
        let mut at = 0;
        loop {
            if self.phase == Phase::Finished {
                if self.trailers.is_empty() {
                    return Ok((at, Piece::End));
                }
                let trailers = parse_trailers(&std::mem::take(&mut self.trailers), limits)?;
                return Ok((at, Piece::Trailers(trailers)));
            }
            let Some(&byte) = input.get(at) else {
                return Ok((at, Piece::NeedMore));
            };
            if let Phase::Data { left } = self.phase {
                let rest = &input[at..];
                let length = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                let left = left - length as u64;
                self.phase = if left == 0 {
                    Phase::DataCr
                } else {
                    Phase::Data { left }
                };
                return Ok((at + length, Piece::Data(&rest[..length])));
            }
            self.phase = self.step(byte, limits)?;
            at += 1;
        }
    }

    /// Takes one byte of anything but data.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Phase, Error> {
        match (self.phase, byte) {
            (Phase::Size { digits, size }, _) => self.size_byte(digits, size, byte, limits),
            (Phase::Padding { size } | Phase::Extension { size }, b'\r') => {
                Ok(Phase::SizeLf { size })
            }
            (Phase::Padding { size }, b' ' | b'\t') => {
                self.count_extension(limits)?;
                Ok(Phase::Padding { size })
            }
            (Phase::Padding { size }, b';') => {
                self.count_extension(limits)?;
                Ok(Phase::Extension { size })
            }
            (Phase::Padding { .. }, _) => Err(Error::InvalidChunkSize),
            (Phase::Extension { size }, _) => {
                if byte.is_ascii_control() && byte != b'\t' {
                    return Err(Error::InvalidChunkExtension);
                }
                self.count_extension(limits)?;
                Ok(Phase::Extension { size })
            }
            (Phase::SizeLf { size: 0 }, b'\n') => Ok(Phase::TrailerStart),
            (Phase::SizeLf { size }, b'\n') => Ok(Phase::Data { left: size }),
            (Phase::DataCr, b'\r') => Ok(Phase::DataLf),
            (Phase::DataLf, b'\n') => Ok(Phase::Size { digits: 0, size: 0 }),
            (Phase::SizeLf { .. } | Phase::DataCr | Phase::DataLf, _) => {
                Err(Error::InvalidChunkEnd)
            }
            (Phase::TrailerStart, b'\r') => Ok(Phase::FinalLf),
            (Phase::TrailerStart, _) => self.trailer_byte(false, byte, limits),
            (Phase::TrailerLine { after_cr }, _) => self.trailer_byte(after_cr, byte, limits),
            (Phase::FinalLf, b'\n') => Ok(Phase::Finished),
            (Phase::FinalLf, _) => Err(Error::InvalidTrailers),
            // `decode` handles both before it takes a byte.
            (Phase::Data { .. } | Phase::Finished, _) => Ok(self.phase),
        }
    }

    fn size_byte(
        &mut self,
        digits: u32,
        size: u64,
        byte: u8,
        limits: &Limits,
    ) -> Result<Phase, Error> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == MOST_DIGITS {
                return Err(Error::InvalidChunkSize);
            }
            return Ok(Phase::Size {
                digits: digits + 1,
                size: size << 4 | u64::from(digit),
            });
        }
        match byte {
            _ if digits == 0 => Err(Error::InvalidChunkSize),
            b'\r' => Ok(Phase::SizeLf { size }),
            b' ' | b'\t' => {
                self.count_extension(limits)?;
                Ok(Phase::Padding { size })
            }
            b';' => {
                self.count_extension(limits)?;
                Ok(Phase::Extension { size })
            }
            b'\n' => Err(Error::InvalidChunkEnd),
            _ => Err(Error::InvalidChunkSize),
        }
    }

    fn count_extension(&mut self, limits: &Limits) -> Result<(), Error> {
        self.extensions += 1;
        if self.extensions > limits.chunk_extensions {
            return Err(Error::ChunkExtensionsTooLarge {
                limit: limits.chunk_extensions,
            });
        }
        Ok(())
    }

    fn trailer_byte(&mut self, after_cr: bool, byte: u8, limits: &Limits) -> Result<Phase, Error> {
        // A CR is followed by LF and nothing else, and an LF follows a CR and nothing else.
        if after_cr != (byte == b'\n') {
            return Err(Error::InvalidTrailers);
        }
        if self.trailers.len() >= limits.trailers {
            return Err(Error::TrailersTooLarge {
                limit: limits.trailers,
            });
        }
        self.trailers.push(byte);
        Ok(match byte {
            b'\n' => Phase::TrailerStart,
            _ => Phase::TrailerLine {
                after_cr: byte == b'\r',
            },
        })
    }
}

/// Trailers are rare, so they go straight into a map; they are never merged into the headers.
fn parse_trailers(section: &[u8], limits: &Limits) -> Result<HeaderMap, Error> {
    let mut text = Vec::with_capacity(section.len() + 2);
    text.extend_from_slice(section);
    text.extend_from_slice(b"\r\n");
    let mut table = vec![EMPTY_HEADER; limits.header_lines()];
    let lines = match httparse::parse_headers(&text, &mut table) {
        Ok(Status::Complete((_, lines))) => lines,
        Ok(Status::Partial) => return Err(Error::InvalidTrailers),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Error::TooManyHeaders {
                limit: limits.header_lines(),
            });
        }
        Err(_) => return Err(Error::InvalidTrailers),
    };
    let mut map = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let name = name.map_err(|_| Error::InvalidTrailers)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Error::InvalidTrailers)?;
        map.append(name, value);
    }
    Ok(map)
}
