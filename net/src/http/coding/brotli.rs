//! `br` ([RFC 7932](https://www.rfc-editor.org/rfc/rfc7932)).

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use sync_wrapper::SyncWrapper;

use super::stage::{Decode, Fault};

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// The coding `br`.
pub(super) struct Brotli {
    state: SyncWrapper<Box<State>>,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: windows of up to 16 MiB, as the standard has them, and not of a gigabyte.
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self {
            state: SyncWrapper::new(Box::new(state)),
            ended: false,
        }
    }
}

impl Decode for Brotli {
    fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Fault> {
        if self.ended {
            return if input.is_empty() {
                Ok((0, 0))
            } else {
                Err(Fault::Invalid(
                    "something follows the end of the brotli data",
                ))
            };
        }
        let (mut in_left, mut used) = (input.len(), 0);
        let (mut out_left, mut made) = (out.len(), 0);
        let result = BrotliDecompressStream(
            &mut in_left,
            &mut used,
            input,
            &mut out_left,
            &mut made,
            out,
            &mut 0,
            self.state.get_mut(),
        );
        match result {
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => {
                return Err(Fault::Invalid("the brotli data are invalid"));
            }
        }
        Ok((used, made))
    }

    fn is_at_end(&self) -> bool {
        self.ended
    }
}

impl fmt::Debug for Brotli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brotli")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
