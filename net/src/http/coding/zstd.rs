//! `zstd` ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)).

use std::fmt;

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::stage::{Decode, Fault};

/// Windows of up to 8 MiB: what a content coding may ask for
/// ([RFC 9659](https://www.rfc-editor.org/rfc/rfc9659)).
const WINDOW_LOG: u32 = 23;

/// The coding `zstd`: frames one after another.
pub(super) struct Zstd {
    context: DCtx<'static>,
    /// Between two frames.
    at_end: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, &'static str> {
        let failed = "there is no memory for its decoder";
        let mut context = DCtx::try_create().ok_or(failed)?;
        let limited = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG));
        limited.map_err(|_| failed)?;
        Ok(Self {
            context,
            at_end: true,
        })
    }
}

impl Decode for Zstd {
    fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        if input.is_empty() && self.at_end {
            return Ok((0, 0));
        }
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(out));
        match self.context.decompress_stream(&mut to, &mut from) {
            // The number is a guess at how much more is needed; none is at the end of a frame.
            Ok(more) => self.at_end = more == 0,
            Err(code) if zstd_safe::get_error_name(code).contains("memory") => {
                return Err(Fault::Window);
            }
            Err(_) => return Err(Fault::Invalid("the zstd data are invalid")),
        }
        Ok((from.pos(), to.pos()))
    }

    fn is_at_end(&self) -> bool {
        self.at_end
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd")
            .field("at_end", &self.at_end)
            .finish_non_exhaustive()
    }
}
