//! However the network cuts a response, its meaning is the same.

use http::{HeaderMap, Method, Version};

use super::samples::{End, SAMPLES};
use super::{Connection, Error, Event, Limits, RequestBody, RequestHead};

/// Everything a caller can see of one response. Errors keep what came before them.
#[derive(Debug, PartialEq, Default)]
struct Seen {
    head: Option<(u16, HeaderMap)>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    reusable: bool,
    error: Option<Error>,
}

/// Receives the pieces one after another, then (if asked) the end of the stream.
fn run<'i>(pieces: impl IntoIterator<Item = &'i [u8]>, eof: bool) -> Seen {
    let none = HeaderMap::new();
    let mut connection = Connection::new(Limits::default());
    let request = RequestHead {
        method: &Method::GET,
        target: "/",
        host: "h",
        port: None,
        headers: &none,
        defaults: &none,
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    connection
        .encode_request(&request, &mut Vec::new())
        .unwrap();
    let mut seen = Seen::default();
    for piece in pieces {
        if let Err(error) = feed(&mut connection, piece, &mut seen) {
            seen.error = Some(error);
            return seen;
        }
    }
    if eof && !seen.ended {
        match connection.eof() {
            Ok(()) => seen.ended = true,
            Err(error) => seen.error = Some(error),
        }
    }
    seen.reusable = connection.can_reuse();
    seen
}

fn feed(connection: &mut Connection, mut input: &[u8], seen: &mut Seen) -> Result<(), Error> {
    loop {
        let (used, event) = connection.receive(input)?;
        input = &input[used..];
        match event {
            Event::Head(head) => seen.head = Some((head.status().as_u16(), head.header_map())),
            Event::Data(data) => {
                assert!(!data.is_empty());
                seen.body.extend_from_slice(data);
            }
            Event::Trailers(trailers) => seen.trailers = Some(trailers),
            Event::NeedMore => {
                assert!(input.is_empty(), "input was left over");
                return Ok(());
            }
            Event::End => {
                seen.ended = true;
                return Ok(());
            }
        }
    }
}

#[test]
fn the_samples_mean_what_they_should() {
    for sample in SAMPLES {
        let seen = run([sample.bytes.as_bytes()], true);
        let early = seen.error.is_some_and(|error| error.is_early_close());
        let end = match (seen.error.is_some(), seen.ended, seen.reusable) {
            (false, true, true) => End::Reusable,
            (false, true, false) if run([sample.bytes.as_bytes()], false).ended => End::Complete,
            (false, true, false) => End::AtClose,
            _ if early => End::Cut,
            _ => End::Bad,
        };
        assert_eq!(end, sample.end, "{:?} gave {seen:?}", sample.bytes);
    }
    let body = |front: &str| {
        let found = SAMPLES.iter().find(|sample| sample.bytes.contains(front));
        run([found.unwrap().bytes.as_bytes()], true).body
    };
    assert_eq!(body("X: y"), b"hello");
    assert_eq!(body("A;ext"), b"hello0123456789");
    assert_eq!(body("okexcess"), b"ok");
    assert_eq!(body("Server: old"), b"until the connection closes");
    assert_eq!(body("103 Early"), b"no!");
}

#[test]
fn every_split_gives_the_same_events() {
    for sample in SAMPLES {
        let bytes = sample.bytes.as_bytes();
        let sample = sample.bytes;
        let whole = run([bytes], true);
        assert_eq!(
            run(bytes.chunks(1), true),
            whole,
            "{sample:?} in single bytes"
        );
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let split = run(pieces, true);
                assert_eq!(split, whole, "{sample:?} cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn random_splits_give_the_same_events() {
    let mut random = Random(0x005e_ed0f_4e15);
    for round in 0..2000 {
        let sample = SAMPLES[random.below(SAMPLES.len())].bytes;
        let bytes = sample.as_bytes();
        let whole = run([bytes], true);
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(random.below(rest.len().min(9)) + 1);
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(run(pieces, true), whole, "{sample:?} in round {round}");
    }
}

/// Control: `Body::eof` that takes the end of a chunked body's connection for its end.
#[test]
fn the_end_of_the_stream_at_every_byte_is_noticed() {
    for sample in SAMPLES {
        let bytes = sample.bytes.as_bytes();
        let whole = run([bytes], true);
        for cut in 0..bytes.len() {
            let seen = run([&bytes[..cut]], true);
            let context = format!("{:?} cut at {cut}", sample.bytes);
            let mut split = run(bytes[..cut].chunks(1), true);
            if sample.end == End::Bad && split.error.is_some() {
                // A whole piece of a head is refused at once, and one in bytes at its end: which of
                // two errors is met first may differ.
                split.error = seen.error;
            }
            assert_eq!(split, seen, "{context}");
            let Some(error) = seen.error else {
                // Only two ways to be right: the response had ended before the cut, or the cut is
                // its end by definition and what came is a prefix.
                assert!(seen.ended, "{context}: neither ended nor an error");
                if sample.end == End::AtClose {
                    assert!(whole.body.starts_with(&seen.body) && !seen.reusable);
                } else {
                    assert_eq!(seen.body, whole.body, "{context}");
                    assert_eq!(seen.trailers, whole.trailers, "{context}");
                }
                continue;
            };
            // What breaks the rules may have done so before the cut.
            if sample.end != End::Bad {
                assert!(error.is_early_close(), "{context} gave {error:?}");
            }
            assert!(
                whole.body.starts_with(&seen.body) && !seen.ended && !seen.reusable,
                "{context}"
            );
        }
    }
}

#[test]
fn complete_responses_need_no_end_of_stream() {
    for sample in SAMPLES {
        let seen = run([sample.bytes.as_bytes()], false);
        assert_eq!(
            seen.ended || seen.error.is_some(),
            matches!(sample.end, End::Reusable | End::Complete | End::Bad),
            "{:?}",
            sample.bytes
        );
    }
}

#[test]
fn two_responses_in_a_row_do_not_mix() {
    let mut connection = Connection::new(Limits::default());
    let none = HeaderMap::new();
    for sample in SAMPLES.iter().filter(|s| s.end == End::Reusable) {
        let request = RequestHead {
            method: &Method::GET,
            target: "/",
            host: "h",
            port: None,
            headers: &none,
            defaults: &none,
            version: Version::HTTP_11,
            body: RequestBody::None,
        };
        connection
            .encode_request(&request, &mut Vec::new())
            .unwrap();
        let mut seen = Seen::default();
        for byte in sample.bytes.as_bytes().chunks(1) {
            feed(&mut connection, byte, &mut seen).unwrap();
        }
        seen.reusable = connection.can_reuse();
        assert_eq!(seen, run([sample.bytes.as_bytes()], true));
    }
}

#[test]
fn random_bytes_never_panic_and_never_hold_more_than_the_limits() {
    let mut random = Random(0x0bad_c0de);
    // Alphabets that come far into the grammar instead of failing at the first byte.
    let alphabet = b"0019aF;: \t\r\n\r\n\r\nchunked";
    for round in 0..3000 {
        let mut bytes = SAMPLES[random.below(SAMPLES.len())]
            .bytes
            .as_bytes()
            .to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = match random.below(3) {
                0 => random.next() as u8,
                _ => alphabet[random.below(alphabet.len())],
            };
        }
        let whole = run([&bytes[..]], true);
        let split = run(bytes.chunks(1 + round % 7), true);
        assert!(whole.error.is_some() || whole.ended);
        // Which of two errors is met first may depend on the cut; whether there is one may not.
        assert_eq!(
            whole.error.is_some(),
            split.error.is_some(),
            "{:?}",
            bytes.escape_ascii()
        );
        if whole.error.is_none() {
            assert_eq!(whole, split, "{}", bytes.escape_ascii());
        }
    }
}

/// A xorshift generator: seeded, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
