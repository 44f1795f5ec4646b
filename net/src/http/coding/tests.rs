//! Codings that need no network: bytes in, however cut, and the same bytes out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;

use super::*;

const LIMITS: DecodeLimits = DecodeLimits {
    size: u64::MAX,
    ratio: None,
};

const ALL: Codings = Codings {
    gzip: true,
    deflate: true,
    brotli: true,
    zstd: true,
};

/// Text that compresses, and bytes that do not.
fn sample() -> Vec<u8> {
    let mut state = 1u32;
    let noise = (0..50_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    b"the same words again and again; "
        .repeat(3000)
        .into_iter()
        .chain(noise)
        .collect()
}

fn encode(coding: Coding, plain: &[u8]) -> Vec<u8> {
    use flate2::Compression;
    match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Brotli => {
            let mut out = Vec::new();
            let mut encoder = brotli_encoder::CompressorWriter::new(&mut out, 4096, 5, 18);
            encoder.write_all(plain).unwrap();
            drop(encoder);
            out
        }
        Coding::Zstd => {
            let mut out = vec![0; zstd_safe::compress_bound(plain.len())];
            let length = zstd_safe::compress(&mut out[..], plain, 3).unwrap();
            out.truncate(length);
            out
        }
    }
}

/// Decodes pieces of this length; fails as a response would.
fn decode_with(
    codings: &[Coding],
    coded: &[u8],
    piece: usize,
    limits: DecodeLimits,
) -> Result<Vec<u8>, Error> {
    let stages = codings
        .iter()
        .rev()
        .map(|coding| Stage::new(*coding).unwrap());
    let mut decoder = Decoder {
        stages: stages.collect(),
        limits,
        encoded: 0,
        decoded: 0,
        ended: false,
    };
    let mut pieces = coded.chunks(piece);
    let mut out = Vec::new();
    loop {
        let before = out.len();
        match decoder.decode(&mut out)? {
            Decoded::Some => assert!(out.len() > before && out.len() <= before + stage::STEP),
            Decoded::End => return Ok(out),
            Decoded::NeedsInput => match pieces.next() {
                Some(piece) => {
                    assert!(decoder.input().is_empty());
                    decoder.input().extend_from_slice(piece);
                    decoder.received(piece.len());
                }
                None => decoder.end(),
            },
        }
    }
}

fn decode(codings: &[Coding], coded: &[u8]) -> Result<Vec<u8>, Error> {
    decode_with(codings, coded, coded.len().max(1), LIMITS)
}

const EACH: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

#[test]
fn whatever_the_pieces() {
    let plain = sample();
    for coding in EACH {
        let coded = encode(coding, &plain);
        for piece in [1, 7, 4096, coded.len()] {
            let decoded = decode_with(&[coding], &coded, piece, LIMITS).unwrap();
            assert!(decoded == plain, "{coding:?} in pieces of {piece}");
        }
        assert_eq!(decode(&[coding], &encode(coding, b"")).unwrap(), b"");
        assert_eq!(
            decode(&[coding], b"").unwrap(),
            b"",
            "no body at all is fine"
        );
    }
}

#[test]
fn one_coding_on_top_of_the_other() {
    let plain = sample();
    let coded = EACH
        .iter()
        .fold(plain.clone(), |bytes, coding| encode(*coding, &bytes));
    for piece in [3, 5000] {
        assert!(decode_with(&EACH, &coded, piece, LIMITS).unwrap() == plain);
    }
}

#[test]
fn what_is_cut_off_anywhere_is_an_error() {
    let plain = &sample()[95_000..97_500];
    for coding in EACH {
        let coded = encode(coding, plain);
        for cut in 1..coded.len() {
            let error = decode(&[coding], &coded[..cut]).unwrap_err();
            assert!(
                error.is_decode() && !error.is_limit(),
                "{coding:?} at {cut}: {error}"
            );
        }
    }
}

#[test]
fn what_follows_the_end_is_an_error() {
    for coding in EACH {
        let mut coded = encode(coding, b"text");
        coded.extend_from_slice(b"\x01garbage");
        assert!(
            decode(&[coding], &coded).unwrap_err().is_decode(),
            "{coding:?}"
        );
    }
}

#[test]
fn damage_is_noticed() {
    let plain = sample();
    for coding in [Coding::Gzip, Coding::Deflate] {
        // The last bytes are the checksum (and for gzip the length).
        let coded = encode(coding, &plain);
        for from_end in 1..=4 {
            let mut bad = coded.clone();
            let at = bad.len() - from_end;
            bad[at] ^= 1;
            assert!(
                decode(&[coding], &bad).unwrap_err().is_decode(),
                "{coding:?}"
            );
        }
    }
    for coding in EACH {
        assert!(
            decode(&[coding], b"<html>not coded</html>")
                .unwrap_err()
                .is_decode()
        );
    }
}

#[test]
fn gzip_of_many_members_and_with_all_fields() {
    let mut coded = encode(Coding::Gzip, b"one, ");
    coded.extend(encode(Coding::Gzip, b""));
    coded.extend(encode(Coding::Gzip, b"two"));
    for piece in [1, coded.len()] {
        let decoded = decode_with(&[Coding::Gzip], &coded, piece, LIMITS).unwrap();
        assert_eq!(decoded, b"one, two");
    }
    // Extra field, name, comment and checksum of the header in front of the same data.
    let plain = encode(Coding::Gzip, b"text");
    let mut full = plain[..10].to_vec();
    full[3] = HCRC_EXTRA_NAME_COMMENT;
    full.extend_from_slice(b"\x03\x00abcname\0comment\0\x12\x34");
    full.extend_from_slice(&plain[10..]);
    for piece in [1, full.len()] {
        let decoded = decode_with(&[Coding::Gzip], &full, piece, LIMITS).unwrap();
        assert_eq!(decoded, b"text");
    }
    full[3] |= 0x20;
    assert!(
        decode(&[Coding::Gzip], &full).unwrap_err().is_decode(),
        "an unknown flag"
    );
}

const HCRC_EXTRA_NAME_COMMENT: u8 = 2 | 4 | 8 | 16;

#[test]
fn zstd_of_many_frames() {
    let mut coded = encode(Coding::Zstd, b"one, ");
    coded.extend(encode(Coding::Zstd, b"two"));
    for piece in [1, coded.len()] {
        let decoded = decode_with(&[Coding::Zstd], &coded, piece, LIMITS).unwrap();
        assert_eq!(decoded, b"one, two");
    }
}

#[test]
fn deflate_without_its_wrapping() {
    let plain = sample();
    for level in [0, 1, 9] {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&plain).unwrap();
        let coded = encoder.finish().unwrap();
        for piece in [1, 4096] {
            let decoded = decode_with(&[Coding::Deflate], &coded, piece, LIMITS).unwrap();
            assert!(decoded == plain, "level {level}");
        }
    }
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![0; 64 << 20];
    for coding in EACH {
        let coded = encode(coding, &zeros);
        let ratio = DecodeLimits {
            ratio: Some(1000),
            ..LIMITS
        };
        let error = decode_with(&[coding], &coded, 4096, ratio).unwrap_err();
        assert!(error.is_limit() && !error.is_decode(), "{error}");
        assert!(
            error.to_string().contains("max_decompression_ratio"),
            "{error}"
        );
        let size = DecodeLimits {
            size: 100_000,
            ..LIMITS
        };
        let error = decode_with(&[coding], &coded, 4096, size).unwrap_err();
        assert!(
            error.is_limit() && error.to_string().contains("max_response_size"),
            "{error}"
        );
        let exact = encode(coding, &zeros[..100_000]);
        assert!(decode_with(&[coding], &exact, 4096, size).is_ok());
    }
}

#[test]
fn a_window_is_no_larger_than_a_coding_allows() {
    // A frame header that asks for a window of 16 MiB (exponent 14), and one of 8 MiB.
    let header = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3];
    let large = decode(&[Coding::Zstd], &header(14)).unwrap_err();
    assert!(large.is_limit(), "{large}");
    let allowed = decode(&[Coding::Zstd], &header(13)).unwrap_err();
    assert!(!allowed.is_limit(), "{allowed}");
}

#[test]
fn which_codings_a_response_has() {
    let read = |lines: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let mut connection = crate::http::h1::Connection::new(crate::http::h1::Limits::default());
        let none = http::HeaderMap::new();
        let request = crate::http::h1::RequestHead {
            method: &http::Method::GET,
            target: "/",
            host: "h",
            port: None,
            headers: &none,
            defaults: &none,
            version: http::Version::HTTP_11,
            body: crate::http::h1::RequestBody::None,
        };
        connection
            .encode_request(&request, &mut Vec::new())
            .unwrap();
        match connection.receive(head.as_bytes()).unwrap().1 {
            crate::http::h1::Event::Head(head) => head,
            event => panic!("{event:?}"),
        }
    };
    let of = |lines: &str| ALL.of(&read(lines)).unwrap();
    assert_eq!(of(""), None);
    assert_eq!(of("Content-Encoding: identity\r\n"), None);
    assert_eq!(of("content-encoding: X-GZIP\r\n"), Some(vec![Coding::Gzip]));
    assert_eq!(
        of("Content-Encoding: gzip , br\r\nContent-Encoding: zstd\r\n"),
        Some(vec![Coding::Gzip, Coding::Brotli, Coding::Zstd])
    );
    assert_eq!(
        of("Content-Encoding: gzip, exi\r\n"),
        None,
        "what is unknown stays"
    );
    let many = format!("Content-Encoding: {}\r\n", ["gzip"; 6].join(","));
    assert!(ALL.of(&read(&many)).unwrap_err().is_limit());
    let none = Codings { gzip: false, ..ALL };
    assert_eq!(none.of(&read("Content-Encoding: gzip\r\n")).unwrap(), None);
    assert_eq!(ALL.accept().unwrap(), "gzip, br, zstd, deflate");
}
