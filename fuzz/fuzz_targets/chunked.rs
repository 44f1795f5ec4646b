//! The chunked coding against a second reader of the same grammar, which has all bytes at hand and can afford to be
//! plain.

#![no_main]

use heist_fuzz::{Asked, Input, exchange, pieces};
use heist_net::http::h1::{Error, Limits};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let bytes = [HEAD, input.0].concat();
    let seen = exchange(&Asked::new(7), Limits::default(), pieces(&bytes, seed));
    match read(input.0) {
        Ok((body, excess)) => match seen.error {
            None => {
                assert_eq!(seen.body, body);
                assert_eq!(seen.reusable, excess == 0);
            }
            // The plain reader looks at the trailers' ends only, and knows no limits.
            Some(Error::InvalidTrailers) => {}
            Some(error) => assert!(error.is_limit(), "{error:?}"),
        },
        Err(Fault::Early) => {
            let error = seen.error.expect("the end is missing");
            let other = error == Error::InvalidTrailers || error.is_limit();
            assert!(error == Error::ClosedInChunked || other, "{error:?}");
        }
        Err(Fault::Wrong) => {
            let error = seen.error.expect("the grammar is broken");
            assert!(!error.is_early_close(), "{error:?}");
        }
    }
});

enum Fault {
    Early,
    Wrong,
}

/// The whole body, and how many bytes are left behind it.
fn read(mut rest: &[u8]) -> Result<(Vec<u8>, usize), Fault> {
    let mut body = Vec::new();
    loop {
        let size = size(line(&mut rest, |line| size(line).is_some())?)
            .expect("what is complete has been checked");
        if size == 0 {
            break;
        }
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        if rest.len() < length {
            return Err(Fault::Early);
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
        for expected in *b"\r\n" {
            match rest.split_first() {
                None => return Err(Fault::Early),
                Some((&byte, behind)) if byte == expected => rest = behind,
                Some(_) => return Err(Fault::Wrong),
            }
        }
    }
    while !line(&mut rest, |_| true)?.is_empty() {}
    Ok((body, rest.len()))
}

/// Takes a line off the front, without its CRLF. Of one without an end, some prefix is put to `could_be` with what
/// would complete it.
fn line<'i>(rest: &mut &'i [u8], could_be: impl Fn(&[u8]) -> bool) -> Result<&'i [u8], Fault> {
    let end = rest.iter().position(|b| b"\r\n".contains(b));
    let text = &rest[..end.unwrap_or(rest.len())];
    let complete = end.is_some() && rest[text.len()] == b'\r';
    if !could_be(text) && !(end.is_none() && text.is_empty()) || (end.is_some() && !complete) {
        return Err(Fault::Wrong);
    }
    match (end, rest.get(text.len() + 1)) {
        (None, _) | (Some(_), None) => Err(Fault::Early),
        (Some(_), Some(b'\n')) => {
            *rest = &rest[text.len() + 2..];
            Ok(text)
        }
        (Some(_), Some(_)) => Err(Fault::Wrong),
    }
}

/// A size, spaces, and extensions that begin with a semicolon.
fn size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).map_or_else(
        // Only extensions may hold what is not ASCII.
        |_| String::from_utf8_lossy(line).into_owned(),
        str::to_owned,
    );
    let (front, extension) = line.split_once(';').unwrap_or((&line, ""));
    let digits = front.trim_end_matches([' ', '\t']);
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex || !(1..=16).contains(&digits.len()) {
        return None;
    }
    if extension
        .bytes()
        .any(|b| b.is_ascii_control() && b != b'\t')
    {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}
