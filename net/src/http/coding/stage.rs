//! One coding: bytes in, bytes out, never more than a buffer at a time.

use super::Coding;

/// The most that one step gives. Little under a fuzzer, so that small inputs meet its end, and clearing it for each
/// piece of an input is not all that is done.
pub(super) const STEP: usize = if cfg!(fuzzing) { 512 } else { 32 * 1024 };

/// A decoder of one coding, and what is still to go into it.
#[derive(Debug)]
pub(super) struct Stage {
    decoder: Box<dyn Decode>,
    input: Vec<u8>,
    at: usize,
    /// Nothing comes behind `input`.
    last: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Output,
    NeedsInput,
    End,
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Invalid(&'static str),
    Truncated,
    /// It asks for more memory than it may.
    Window,
}

/// What a coding has to be able to do.
pub(super) trait Decode: std::fmt::Debug + Send + Sync {
    /// Decodes from `input` to `out`. Returns how much of either was used. It must use up one of the two, or
    /// be at an end.
    fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault>;

    /// Whether the body may end here.
    fn is_at_end(&self) -> bool;
}

impl Stage {
    pub(super) fn new(coding: Coding) -> Result<Self, &'static str> {
        Ok(Self {
            decoder: decoder(coding)?,
            input: Vec::new(),
            at: 0,
            last: false,
        })
    }

    /// The emptied input, to be filled.
    pub(super) fn refill(&mut self) -> &mut Vec<u8> {
        if self.at == self.input.len() {
            self.input.clear();
            self.at = 0;
        }
        &mut self.input
    }

    pub(super) fn no_more(&mut self) {
        self.last = true;
    }

    pub(super) fn has_no_more(&self) -> bool {
        self.last
    }

    /// All input has been used, and there is no more.
    pub(super) fn finish(&self) -> Result<Progress, Fault> {
        if self.decoder.is_at_end() {
            Ok(Progress::End)
        } else {
            Err(Fault::Truncated)
        }
    }

    /// Decodes once, and appends what comes out.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) -> Result<Progress, Fault> {
        let start = out.len();
        out.resize(start + STEP, 0);
        let outcome = self.fill(&mut out[start..]);
        out.truncate(start + *outcome.as_ref().unwrap_or(&0));
        Ok(if outcome? == 0 {
            Progress::NeedsInput
        } else {
            Progress::Output
        })
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < out.len() {
            let (used, made) = self
                .decoder
                .decode(&self.input[self.at..], &mut out[filled..])?;
            self.at += used;
            filled += made;
            if used == 0 && made == 0 {
                break;
            }
        }
        Ok(filled)
    }
}

fn decoder(coding: Coding) -> Result<Box<dyn Decode>, &'static str> {
    match coding {
        #[cfg(feature = "gzip")]
        Coding::Gzip => Ok(Box::new(super::deflate::Gzip::new())),
        #[cfg(feature = "deflate")]
        Coding::Deflate => Ok(Box::new(super::deflate::Deflate::new())),
        #[cfg(feature = "brotli")]
        Coding::Brotli => Ok(Box::new(super::brotli::Brotli::new())),
        #[cfg(feature = "zstd")]
        Coding::Zstd => Ok(Box::new(super::zstd::Zstd::new()?)),
        // A coding that is not compiled in is not asked for either, and left as it is when it comes.
        #[allow(
            unreachable_patterns,
            reason = "with all of them compiled in there is none"
        )]
        _ => Err("its content coding is not compiled in"),
    }
}
