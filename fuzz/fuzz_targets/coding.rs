//! Content codings, also on top of each other: however the body is cut, the same comes out, and not more than allowed.

#![no_main]

use heist_fuzz::{Input, pieces};
use heist_net::http::fuzzing::decode;
use libfuzzer_sys::fuzz_target;

const CODINGS: [&str; 8] = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "x-gzip, identity",
    "br, deflate",
    "zstd, gzip",
];

/// The limit, and the buffer by which it may be exceeded.
const SIZE: u64 = 64 * 1024;
const BUFFER: usize = 1024;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let codings = CODINGS[usize::from(input.byte() & 7)];
    let whole = decode(codings, std::iter::once(input.0), SIZE, 1000);
    let split = decode(codings, pieces(input.0, seed), SIZE, 1000);
    match (&whole, &split) {
        (Ok(whole), Ok(split)) => {
            assert!(whole == split);
            assert!(whole.len() <= SIZE as usize + BUFFER);
        }
        (Err(whole), Err(split)) => {
            assert!(
                (whole.is_limit() || whole.is_decode()) && (split.is_limit() || split.is_decode())
            );
        }
        _ => panic!("{codings}: {whole:?}\n{split:?}"),
    }
});
