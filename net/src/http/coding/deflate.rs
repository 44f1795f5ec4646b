//! `gzip` ([RFC 1952]) and `deflate` ([RFC 1950], or [RFC 1951] without its wrapping).
//!
//! [RFC 1950]: https://www.rfc-editor.org/rfc/rfc1950
//! [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951
//! [RFC 1952]: https://www.rfc-editor.org/rfc/rfc1952

use flate2::{Decompress, FlushDecompress, Status};

use super::stage::{Decode, Fault};

/// Inflates, and says whether the stream has ended.
fn inflate(
    decompress: &mut Decompress,
    input: &[u8],
    out: &mut [u8],
) -> Result<(usize, usize, bool), Fault> {
    let (before_in, before_out) = (decompress.total_in(), decompress.total_out());
    let status = decompress
        .decompress(input, out, FlushDecompress::None)
        .map_err(|_| Fault::Invalid("the deflated data are invalid"))?;
    let used = (decompress.total_in() - before_in) as usize;
    let made = (decompress.total_out() - before_out) as usize;
    Ok((used, made, status == Status::StreamEnd))
}

/// The coding `gzip`: members one after another, each with a header and a checksum.
#[cfg(feature = "gzip")]
#[derive(Debug)]
pub(super) struct Gzip {
    state: Member,
    inflater: Decompress,
    crc: flate2::Crc,
}

/// Where in a member the next byte stands.
#[cfg(feature = "gzip")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// Before the first one: an empty input ends here only if it is empty altogether.
    Begin,
    /// Ten bytes: magic number, method, flags, and six of no interest.
    Fixed {
        at: u8,
        flags: u8,
    },
    /// The length of the extra field, low byte first.
    ExtraLength {
        flags: u8,
        low: Option<u8>,
    },
    Extra {
        flags: u8,
        left: u16,
    },
    /// A file name or a comment, up to its zero.
    Text {
        flags: u8,
    },
    HeaderCrc {
        flags: u8,
        left: u8,
    },
    Data,
    /// The checksum and the length, low bytes first.
    Trailer {
        at: u8,
        value: u64,
    },
    /// Behind a member: the end, or the next one.
    Between,
}

#[cfg(feature = "gzip")]
const HCRC: u8 = 2;
#[cfg(feature = "gzip")]
const EXTRA: u8 = 4;
#[cfg(feature = "gzip")]
const NAME: u8 = 8;
#[cfg(feature = "gzip")]
const COMMENT: u8 = 16;

#[cfg(feature = "gzip")]
impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: Member::Begin,
            inflater: Decompress::new(false),
            crc: flate2::Crc::new(),
        }
    }

    /// The next part of the header that the flags announce. Each flag is cleared as its part begins.
    fn next_part(flags: u8) -> Member {
        match flags {
            _ if flags & EXTRA != 0 => Member::ExtraLength {
                flags: flags & !EXTRA,
                low: None,
            },
            _ if flags & NAME != 0 => Member::Text {
                flags: flags & !NAME,
            },
            _ if flags & COMMENT != 0 => Member::Text {
                flags: flags & !COMMENT,
            },
            _ if flags & HCRC != 0 => Member::HeaderCrc {
                flags: flags & !HCRC,
                left: 2,
            },
            _ => Member::Data,
        }
    }

    /// Takes one byte of anything but data.
    fn step(&mut self, byte: u8) -> Result<Member, Fault> {
        Ok(match self.state {
            Member::Begin | Member::Between => return self.fixed(0, 0, byte),
            Member::Fixed { at, flags } => return self.fixed(at, flags, byte),
            Member::ExtraLength { flags, low: None } => Member::ExtraLength {
                flags,
                low: Some(byte),
            },
            Member::ExtraLength {
                flags,
                low: Some(low),
            } => match u16::from_le_bytes([low, byte]) {
                0 => Self::next_part(flags),
                left => Member::Extra { flags, left },
            },
            Member::Extra { flags, left: 1 } => Self::next_part(flags),
            Member::Extra { flags, left } => Member::Extra {
                flags,
                left: left - 1,
            },
            Member::Text { flags } if byte == 0 => Self::next_part(flags),
            Member::HeaderCrc { flags, left: 1 } => Self::next_part(flags),
            Member::HeaderCrc { flags, left } => Member::HeaderCrc {
                flags,
                left: left - 1,
            },
            Member::Trailer { at, value } => {
                let value = value | u64::from(byte) << (8 * u32::from(at));
                if at < 7 {
                    Member::Trailer { at: at + 1, value }
                } else {
                    self.check(value)?;
                    Member::Between
                }
            }
            state @ (Member::Text { .. } | Member::Data) => state,
        })
    }

    fn fixed(&mut self, at: u8, flags: u8, byte: u8) -> Result<Member, Fault> {
        let good = match at {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            2 => byte == 8,
            // Flags that nobody has defined may announce parts that nobody can skip.
            3 => byte & 0xe0 == 0,
            _ => true,
        };
        if !good {
            return Err(Fault::Invalid(
                "it is not gzip, or something follows it that is not",
            ));
        }
        let flags = if at == 3 { byte } else { flags };
        if at < 9 {
            return Ok(Member::Fixed { at: at + 1, flags });
        }
        self.inflater.reset(false);
        self.crc.reset();
        Ok(Self::next_part(flags))
    }

    fn check(&self, trailer: u64) -> Result<(), Fault> {
        let expected = u64::from(self.crc.sum()) | u64::from(self.crc.amount()) << 32;
        if trailer == expected {
            Ok(())
        } else {
            Err(Fault::Invalid("the checksum of the gzip data is wrong"))
        }
    }
}

#[cfg(feature = "gzip")]
impl Decode for Gzip {
    fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        let mut at = 0;
        loop {
            if self.state == Member::Data {
                let (used, made, ended) = inflate(&mut self.inflater, &input[at..], out)?;
                self.crc.update(&out[..made]);
                at += used;
                if ended {
                    self.state = Member::Trailer { at: 0, value: 0 };
                    if made == 0 {
                        continue;
                    }
                }
                return Ok((at, made));
            }
            let Some(&byte) = input.get(at) else {
                return Ok((at, 0));
            };
            self.state = self.step(byte)?;
            at += 1;
        }
    }

    fn is_at_end(&self) -> bool {
        self.state == Member::Between
    }
}

/// The coding `deflate`: by the standard with the wrapping of zlib, by some servers without.
#[cfg(feature = "deflate")]
#[derive(Debug)]
pub(super) struct Deflate {
    /// Not there before the first byte, which tells the two apart.
    inflater: Option<Decompress>,
    ended: bool,
}

#[cfg(feature = "deflate")]
impl Deflate {
    pub(super) fn new() -> Self {
        Self {
            inflater: None,
            ended: false,
        }
    }

    /// Whether a stream that begins so is wrapped. The method is 8 and the window at most 32 KiB; without a
    /// wrapping the low four bits are the final-block bit, the type of block, and for a stored one padding,
    /// and 8 would be a stored block whose padding is not zero, which no encoder writes.
    fn is_wrapped(first: u8) -> bool {
        first & 0x0f == 8 && first >> 4 <= 7
    }
}

#[cfg(feature = "deflate")]
impl Decode for Deflate {
    fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        let Some(&first) = input.first() else {
            // What the inflater still holds comes out without input.
            return match &mut self.inflater {
                Some(inflater) if !self.ended => {
                    let (_, made, ended) = inflate(inflater, input, out)?;
                    self.ended = ended;
                    Ok((0, made))
                }
                _ => Ok((0, 0)),
            };
        };
        if self.ended {
            return Err(Fault::Invalid(
                "something follows the end of the deflated data",
            ));
        }
        let wrapped = Self::is_wrapped(first);
        let inflater = self
            .inflater
            .get_or_insert_with(|| Decompress::new(wrapped));
        let (used, made, ended) = inflate(inflater, input, out)?;
        self.ended = ended;
        Ok((used, made))
    }

    fn is_at_end(&self) -> bool {
        self.ended
    }
}
