//! However the network cuts a response, its meaning is the same.

use http::{HeaderMap, Method};

use super::{Connection, Error, Event, Limits, RequestHead};

/// Responses of every framing, good and bad. `true`: complete without the end of the stream.
const SAMPLES: &[(&str, bool)] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        true,
    ),
    ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", true),
    (
        "HTTP/1.0 200 OK\nServer: old\n\nuntil the connection closes",
        false,
    ),
    ("HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n", true),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\nLink: a\n\n\
         HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno!",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\nA;ext=\"x\"\r\n0123456789\r\n0\r\n\r\n",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         1 \r\nx\r\n00;last\r\nChecksum: 1\r\nOther: 2\r\n\r\n",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nopaque",
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        true,
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokexcess", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", true),
    ("HTTP/1.1 200 OK\r\nBad : name\r\n\r\nbody", true),
    ("HTTP/1.1 200 OK\r\nfold: a\r\n b\r\n\r\nbody", true),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        true,
    ),
    ("HTTP/1.1 101 Switching Protocols\r\n\r\nws", true),
    ("ICY 200 OK\r\n\r\n", true),
];

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
        content_length: None,
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
    let run_whole = |index: usize| run([SAMPLES[index].0.as_bytes()], true);
    assert!(run_whole(0).reusable && run_whole(0).body == b"hello");
    assert!(run_whole(2).body.len() == 27 && !run_whole(2).reusable);
    assert_eq!(run_whole(4).head.unwrap().0, 404);
    assert!(run_whole(5).body == b"hello0123456789" && run_whole(5).reusable);
    assert_eq!(run_whole(6).trailers.unwrap().len(), 2);
    let good = SAMPLES
        .iter()
        .filter(|s| run([s.0.as_bytes()], true).error.is_none())
        .count();
    assert_eq!(good, 10);
}

#[test]
fn every_split_gives_the_same_events() {
    for (sample, _) in SAMPLES {
        let bytes = sample.as_bytes();
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
        let (sample, _) = SAMPLES[random.below(SAMPLES.len())];
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

#[test]
fn the_end_of_the_stream_at_every_byte_is_noticed() {
    for (sample, complete_in_itself) in SAMPLES {
        let bytes = sample.as_bytes();
        let whole = run([bytes], true);
        for cut in 0..bytes.len() {
            let seen = run([&bytes[..cut]], true);
            let until_close = !complete_in_itself;
            let Some(error) = seen.error else {
                // Only two ways to be right: the response had ended before the cut, or the cut is
                // its end by definition and what came is a prefix.
                assert!(
                    seen.ended,
                    "{sample:?} cut at {cut}: neither ended nor an error"
                );
                if until_close {
                    assert!(whole.body.starts_with(&seen.body) && !seen.reusable);
                } else {
                    assert_eq!(seen.body, whole.body, "{sample:?} cut at {cut}");
                    assert_eq!(seen.trailers, whole.trailers);
                }
                continue;
            };
            if whole.error.is_none() {
                assert!(
                    error.is_early_close(),
                    "{sample:?} cut at {cut} gave {error:?}"
                );
                assert!(whole.body.starts_with(&seen.body) && !seen.ended && !seen.reusable);
            }
        }
    }
}

#[test]
fn complete_responses_need_no_end_of_stream() {
    for (sample, complete_in_itself) in SAMPLES {
        let seen = run([sample.as_bytes()], false);
        assert_eq!(
            seen.ended || seen.error.is_some(),
            *complete_in_itself,
            "{sample:?}"
        );
    }
}

#[test]
fn two_responses_in_a_row_do_not_mix() {
    let mut connection = Connection::new(Limits::default());
    let none = HeaderMap::new();
    for (sample, _) in SAMPLES {
        if !run([sample.as_bytes()], true).reusable {
            continue;
        }
        let request = RequestHead {
            method: &Method::GET,
            target: "/",
            host: "h",
            port: None,
            headers: &none,
            defaults: &none,
            content_length: None,
        };
        connection
            .encode_request(&request, &mut Vec::new())
            .unwrap();
        let mut seen = Seen::default();
        for byte in sample.as_bytes().chunks(1) {
            feed(&mut connection, byte, &mut seen).unwrap();
        }
        seen.reusable = connection.can_reuse();
        assert_eq!(seen, run([sample.as_bytes()], true));
    }
}

#[test]
fn random_bytes_never_panic_and_never_hold_more_than_the_limits() {
    let mut random = Random(0x0bad_c0de);
    // Alphabets that come far into the grammar instead of failing at the first byte.
    let alphabet = b"0019aF;: \t\r\n\r\n\r\nchunked";
    for round in 0..3000 {
        let mut bytes = SAMPLES[random.below(SAMPLES.len())].0.as_bytes().to_vec();
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
