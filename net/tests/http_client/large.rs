//! Bodies that are larger than the memory for them: 32 MiB, or a gibibyte with HEIST_LONG.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};

use bytes::Bytes;
use futures_util::stream;
use heist_net::http::Body;
use heist_runtime::block_on;

use crate::server::*;

const PIECE: usize = 64 * 1024;

fn total() -> usize {
    match std::env::var_os("HEIST_LONG") {
        Some(_) => 1 << 30,
        None => 32 << 20,
    }
}

/// The bytes of one piece: no two are alike.
fn piece(number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(PIECE / 8).flatten().collect()
}

/// A hash that does not depend on how the bytes were cut.
fn hash(hasher: &mut DefaultHasher, bytes: &[u8]) {
    for byte in bytes {
        hasher.write_u8(*byte);
    }
}

fn expected() -> u64 {
    let mut hasher = DefaultHasher::new();
    for number in 0..total() / PIECE {
        hash(&mut hasher, &piece(number));
    }
    hasher.finish()
}

/// Memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Other tests of this process have memory of their own, so the bound is one for the long run, where a body
/// that is kept shows all the more.
fn assert_small(before: usize) {
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 << 20, "{} MiB more than before", grown >> 20);
}

#[test]
fn a_large_download() {
    let server = Server::new(|peer| {
        peer.request();
        peer.send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            total()
        ));
        for number in 0..total() / PIECE {
            peer.stream.write_all(&piece(number)).unwrap();
        }
    });
    let before = resident();
    block_on(async {
        let client = heist_net::http::Client::new();
        let mut response = client.get(server.url("/")).send().await.unwrap();
        let (mut hasher, mut length) = (DefaultHasher::new(), 0);
        while let Some(bytes) = response.chunk().await.unwrap() {
            hash(&mut hasher, &bytes);
            length += bytes.len();
        }
        assert_small(before);
        assert_eq!((length, hasher.finish()), (total(), expected()));
    });
}

#[test]
fn a_large_upload() {
    let server = Server::new(|peer| {
        peer.request();
        let (mut hasher, mut left, mut buffer) = (DefaultHasher::new(), total(), vec![0; PIECE]);
        while left > 0 {
            let count = peer.stream.read(&mut buffer).unwrap();
            hash(&mut hasher, &buffer[..count]);
            left -= count;
        }
        peer.send(&ok(&hasher.finish().to_string()));
    });
    let before = resident();
    block_on(async {
        let pieces =
            (0..total() / PIECE).map(|number| Ok::<_, Infallible>(Bytes::from(piece(number))));
        let body = Body::wrap_stream(stream::iter(pieces)).with_length(total() as u64);
        let client = heist_net::http::Client::new();
        let response = client.put(server.url("/")).body(body).send().await.unwrap();
        assert_small(before);
        assert_eq!(response.text().await.unwrap(), expected().to_string());
    });
}
