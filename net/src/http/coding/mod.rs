//! Content codings of responses, removed as the body comes ([RFC 9110, section 8.4]).
//!
//! | file | idea |
//! |---|---|
//! | `mod.rs` | [`Codings`]: which are asked for; [`Decoder`]: the chain that undoes those of one response |
//! | `settings.rs` | the methods of [`ClientBuilder`](super::ClientBuilder) for them |
//! | `stage.rs` | one coding: bytes in, bytes out, never more than a buffer at a time |
//! | `deflate.rs` | `gzip` and `deflate`, on the same algorithm |
//! | `brotli.rs` | `br` |
//! | `zstd.rs` | `zstd` |
//!
//! # Bombs
//!
//! A few kilobytes can stand for gigabytes. No step of a decoder gives more than one buffer, which is handed
//! out before the next step, so a reader of pieces needs no memory for a bomb; and what comes out is counted
//! against two limits, the size of a body and the ratio of what comes out to what went in.
//!
//! [RFC 9110, section 8.4]: https://www.rfc-editor.org/rfc/rfc9110#section-8.4

#![cfg_attr(
    not(feature = "zstd"),
    allow(
        dead_code,
        reason = "zstd alone uses all of what the codings have in common"
    )
)]

mod settings;
mod stage;
#[cfg(any(feature = "gzip", feature = "deflate"))]
mod deflate;
#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;

use http::HeaderValue;

use super::error::{Cause, Error, Phase};
use super::h1::ResponseHead;
use stage::{Progress, Stage};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings that are asked for, and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codings {
    pub(super) gzip: bool,
    pub(super) deflate: bool,
    pub(super) brotli: bool,
    pub(super) zstd: bool,
}

impl Codings {
    /// All that this build can remove.
    pub(super) const COMPILED: Self = Self {
        gzip: cfg!(feature = "gzip"),
        deflate: cfg!(feature = "deflate"),
        brotli: cfg!(feature = "brotli"),
        zstd: cfg!(feature = "zstd"),
    };

    /// The value of `Accept-Encoding`, best first; `None` if there are none to ask for.
    pub(super) fn accept(self) -> Option<HeaderValue> {
        let names: Vec<_> = [
            (self.gzip, "gzip"),
            (self.brotli, "br"),
            (self.zstd, "zstd"),
            (self.deflate, "deflate"),
        ]
        .into_iter()
        .filter_map(|(wanted, name)| wanted.then_some(name))
        .collect();
        let value = HeaderValue::try_from(names.join(", "));
        value.ok().filter(|_| !names.is_empty())
    }

    fn known(self, name: &[u8]) -> Option<Coding> {
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
        };
        match () {
            () if is(&["gzip", "x-gzip"]) => self.gzip.then_some(Coding::Gzip),
            () if is(&["deflate"]) => self.deflate.then_some(Coding::Deflate),
            () if is(&["br"]) => self.brotli.then_some(Coding::Brotli),
            () if is(&["zstd"]) => self.zstd.then_some(Coding::Zstd),
            () => None,
        }
    }

    /// The codings of a response in the order in which they were applied. `None` when there are none, or when
    /// one of them is not to be removed: then the body is what it is.
    fn of(self, head: &ResponseHead) -> Result<Option<Vec<Coding>>, Error> {
        let lines = head.get_all("content-encoding");
        let members = lines.flat_map(|value| value.split(|&b| b == b','));
        let mut codings = Vec::new();
        for member in members.map(<[u8]>::trim_ascii) {
            if member.is_empty() || member.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            match self.known(member) {
                Some(coding) => codings.push(coding),
                None => return Ok(None),
            }
            if codings.len() > MOST_CODINGS {
                return Err(Limit::Codings.error());
            }
        }
        Ok((!codings.is_empty()).then_some(codings))
    }
}

/// More codings than this, one on top of the other, are nothing but an attempt to keep the client busy.
const MOST_CODINGS: usize = 5;

/// How much may come out of a decoder.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecodeLimits {
    /// Bytes of a decoded body.
    pub(super) size: u64,
    /// Bytes that may come out for each that went in, once there are more than [`GRACE`].
    pub(super) ratio: Option<u32>,
}

/// Up to here nobody looks at the ratio: a short text of one letter compresses well, too.
const GRACE: u64 = 1 << 20;

/// Which limit of decoding was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Size(u64),
    Ratio(u32),
    Codings,
    Window,
}

impl Limit {
    pub(super) fn error(self) -> Error {
        Error::new(Phase::Decode, Cause::Limit(self))
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Size(_) => "raise `max_response_size` if this much is expected",
            Self::Ratio(_) => "raise `max_decompression_ratio` if this much is expected",
            Self::Codings | Self::Window => "ask the server for less with `Accept-Encoding`",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(limit) => write!(f, "the decoded body exceeds the limit of {limit} bytes"),
            Self::Ratio(limit) => write!(f, "the body grew to more than {limit} times its size"),
            Self::Codings => write!(f, "the body has more than {MOST_CODINGS} content codings"),
            Self::Window => f.write_str("the body needs more memory than its coding allows"),
        }
    }
}

/// Removes the codings of one response.
#[derive(Debug)]
pub(super) struct Decoder {
    /// In the order in which they are removed: the reverse of that of the header.
    stages: Vec<Stage>,
    limits: DecodeLimits,
    encoded: u64,
    decoded: u64,
    /// Nothing more will come in.
    ended: bool,
}

/// What a decoder did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded {
    /// Something came out.
    Some,
    /// More of the body is needed.
    NeedsInput,
    /// The body has ended.
    End,
}

impl Decoder {
    /// The decoder for a response; `None` if there is nothing to remove.
    pub(super) fn for_response(
        head: &ResponseHead,
        codings: Codings,
        limits: DecodeLimits,
    ) -> Result<Option<Box<Self>>, Error> {
        let Some(codings) = codings.of(head)? else {
            return Ok(None);
        };
        let stages: Result<Vec<_>, _> = codings.into_iter().rev().map(Stage::new).collect();
        Ok(Some(Box::new(Self {
            stages: stages.map_err(|text| Error::new(Phase::Decode, Cause::Undecodable(text)))?,
            limits,
            encoded: 0,
            decoded: 0,
            ended: false,
        })))
    }

    /// Where received bytes are to be put; only after [`Decoded::NeedsInput`], when it is empty.
    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        let [first, ..] = &mut *self.stages else {
            unreachable!("a decoder has at least one stage");
        };
        first.refill()
    }

    /// Counts what was put there.
    pub(super) fn received(&mut self, count: usize) {
        self.encoded += count as u64;
    }

    /// All of the body has been received.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Decodes on, and appends up to a buffer full to `out`.
    pub(super) fn decode(&mut self, out: &mut Vec<u8>) -> Result<Decoded, Error> {
        // An empty body is an empty body in every coding: servers send it for errors and the like.
        if self.ended && self.encoded == 0 {
            return Ok(Decoded::End);
        }
        let before = out.len();
        let progress = run(&mut self.stages, out, self.ended).map_err(|fault| match fault {
            stage::Fault::Invalid(text) => Error::new(Phase::Decode, Cause::Undecodable(text)),
            stage::Fault::Truncated => Error::new(
                Phase::Decode,
                Cause::Undecodable("the coded body is cut off"),
            ),
            stage::Fault::Window => Limit::Window.error(),
        })?;
        self.decoded += (out.len() - before) as u64;
        self.check()?;
        Ok(match progress {
            Progress::Output => Decoded::Some,
            Progress::NeedsInput => Decoded::NeedsInput,
            Progress::End => Decoded::End,
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.decoded > self.limits.size {
            return Err(Limit::Size(self.limits.size).error());
        }
        match self.limits.ratio {
            Some(ratio)
                if self.decoded > GRACE
                    && self.decoded > self.encoded.saturating_mul(u64::from(ratio)) =>
            {
                Err(Limit::Ratio(ratio).error())
            }
            _ => Ok(()),
        }
    }
}

/// Pulls from the last stage, which pulls from the one before it when it has nothing left.
fn run(stages: &mut [Stage], out: &mut Vec<u8>, ended: bool) -> Result<Progress, stage::Fault> {
    let Some((last, before)) = stages.split_last_mut() else {
        return Ok(if ended {
            Progress::End
        } else {
            Progress::NeedsInput
        });
    };
    loop {
        match last.step(out)? {
            Progress::NeedsInput => {}
            done => return Ok(done),
        }
        if last.has_no_more() {
            return last.finish();
        }
        let refill = last.refill();
        if before.is_empty() {
            if !ended {
                return Ok(Progress::NeedsInput);
            }
            last.no_more();
            continue;
        }
        match run(before, refill, ended)? {
            Progress::Output => {}
            Progress::NeedsInput => return Ok(Progress::NeedsInput),
            Progress::End => last.no_more(),
        }
    }
}

#[cfg(all(
    test,
    feature = "gzip",
    feature = "deflate",
    feature = "brotli",
    feature = "zstd"
))]
mod tests;
