//! The head of a response: however it is cut, and however small the limits are, it is the same one or an error.

#![no_main]

use heist_fuzz::{Asked, Input, exchange, pieces};
use heist_net::http::h1::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let mut limits = Limits::default();
    let size = input.byte();
    if size & 1 != 0 {
        limits.head = 16 + usize::from(size);
        limits.headers = usize::from(size >> 4);
    }
    // HEAD, so that all of it is about the head.
    let asked = Asked::new(input.byte() & !7);
    let whole = exchange(&asked, limits, std::iter::once(input.0));
    let split = exchange(&asked, limits, pieces(input.0, seed));
    assert!(whole.body.is_empty() && whole.trailers.is_none());
    assert!(whole.agrees_with(&split), "{whole:?}\n{split:?}");
    if let Some((status, headers)) = &whole.head {
        assert!((101..1000).contains(status) && headers.len() <= limits.headers);
    }
});
