//! A whole response to requests of several kinds, in random pieces: the same head, body, trailers, end, and the same
//! answer to whether the connection may be used again.

#![no_main]

use heist_fuzz::{Asked, Input, exchange, pieces};
use heist_net::http::h1::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let asked = Asked::new(input.byte());
    let mut limits = Limits::default();
    let size = input.byte();
    if size & 1 != 0 {
        limits.chunk_extensions = usize::from(size) / 8;
        limits.trailers = usize::from(size) / 2;
        limits.informational = u32::from(size >> 6);
        limits.body = u64::from(size >> 2);
    }
    let whole = exchange(&asked, limits, std::iter::once(input.0));
    let split = exchange(&asked, limits, pieces(input.0, seed));
    assert!(whole.agrees_with(&split), "{whole:?}\n{split:?}");
    assert!(whole.body.len() as u64 <= limits.body);
});
