//! Codecs: however the bytes come, the messages are the same, none is longer than allowed, and what was encoded is
//! decoded.

#![no_main]

use bytes::{Bytes, BytesMut};
use heist_fuzz::{Input, pieces};
use heist_net::io::codec::{Decoder, Encoder, LengthDelimitedCodec, LinesCodec, LinesCodecError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.seed();
    let kind = input.byte();
    if kind & 1 == 0 {
        lines(input.0, seed, usize::from(kind >> 1));
    } else {
        lengths(input.0, seed, kind >> 1);
    }
});

fn lines(bytes: &[u8], seed: u64, max_length: usize) {
    let codec = LinesCodec::new_with_max_length(max_length);
    let decode = |seed: Option<u64>| {
        let told = |error: LinesCodecError| match error {
            LinesCodecError::MaxLineLengthExceeded => None,
            LinesCodecError::Io(error) => Some(error.kind()),
        };
        decode(&mut codec.clone(), bytes, seed).map(move |item| item.map_err(told))
    };
    let whole: Vec<_> = decode(None).collect();
    assert!(decode(Some(seed)).eq(whole.iter().cloned()), "{whole:?}");
    let plain = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let count = plain.split(|&b| b == b'\n').count();
    assert_eq!(whole.len(), if bytes.is_empty() { 0 } else { count });
    for (item, line) in whole.iter().zip(plain.split(|&b| b == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match item {
            Ok(text) => assert!(text.as_bytes() == line && line.len() <= max_length),
            Err(None) => assert!(line.len() > max_length),
            Err(Some(_)) => assert!(std::str::from_utf8(line).is_err()),
        }
    }
    let mut encoded = BytesMut::new();
    let good: Vec<String> = whole.into_iter().filter_map(Result::ok).collect();
    for text in &good {
        let mut codec = LinesCodec::new();
        codec.encode(text, &mut encoded).expect("memory has no end");
    }
    let again: Vec<_> = drain(&mut LinesCodec::new(), &mut encoded)
        .map_while(Result::ok)
        .collect();
    // A carriage return at the end of a line becomes a part of its end.
    let expected = good
        .iter()
        .map(|text| text.strip_suffix('\r').unwrap_or(text));
    assert!(again.iter().map(String::as_str).eq(expected), "{good:?}");
}

fn lengths(bytes: &[u8], seed: u64, kind: u8) {
    let mut builder = LengthDelimitedCodec::builder();
    builder.length_field_length(1 + usize::from(kind & 7));
    builder.max_frame_length(if kind & 8 == 0 { 40 } else { 1 << 20 });
    if kind & 16 == 0 {
        builder.little_endian();
    }
    let decode = |seed: Option<u64>| {
        let mut codec = builder.new_codec();
        let limit = codec.max_frame_length();
        decode(&mut codec, bytes, seed)
            // An error once is one for ever.
            .scan(false, |failed, item| {
                let more = !*failed;
                *failed = item.is_err();
                more.then_some(item)
            })
            .map(|item| item.map(BytesMut::freeze).map_err(|error| error.kind()))
            .inspect(|item| {
                assert!(item.as_ref().is_ok_and(|item| item.len() <= limit) || item.is_err())
            })
            .collect::<Vec<_>>()
    };
    let whole = decode(None);
    assert_eq!(whole, decode(Some(seed)));
    let mut encoded = BytesMut::new();
    let good: Vec<Bytes> = whole.into_iter().map_while(Result::ok).collect();
    for item in &good {
        let result = builder.new_codec().encode(item.clone(), &mut encoded);
        result.expect("it came out of the same codec");
    }
    assert!(bytes.starts_with(&encoded), "it has one form");
}

/// All messages of `bytes`, as one piece or as those of a seed.
fn decode<D: Decoder>(
    codec: &mut D,
    bytes: &[u8],
    seed: Option<u64>,
) -> std::vec::IntoIter<Result<D::Item, D::Error>> {
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    let mut take = |codec: &mut D, piece: &[u8]| {
        buffer.extend_from_slice(piece);
        loop {
            let left = buffer.len();
            match codec.decode(&mut buffer) {
                Ok(None) => return false,
                Ok(Some(item)) => found.push(Ok(item)),
                Err(error) => {
                    found.push(Err(error));
                    // Nothing more comes of it, or else it would never end.
                    if buffer.len() == left {
                        return true;
                    }
                }
            }
        }
    };
    let failed = match seed {
        None => take(codec, bytes),
        Some(seed) => pieces(bytes, seed).any(|piece| take(codec, piece)),
    };
    if !failed {
        found.extend(drain(codec, &mut buffer));
    }
    found.into_iter()
}

/// What is left at the end of the stream.
fn drain<D: Decoder>(
    codec: &mut D,
    buffer: &mut BytesMut,
) -> std::vec::IntoIter<Result<D::Item, D::Error>> {
    let mut found = Vec::new();
    loop {
        match codec.decode_eof(buffer) {
            Ok(None) => break,
            Ok(Some(item)) => found.push(Ok(item)),
            Err(error) => {
                found.push(Err(error));
                break;
            }
        }
    }
    found.into_iter()
}
