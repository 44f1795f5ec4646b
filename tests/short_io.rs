//! A stream written and read in pieces of 1 to 7 bytes arrives as it was sent: the same hash after
//! megabytes, there and back.
//!
//! Negative control: one changed byte changes the hash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::hash::{DefaultHasher, Hasher};

use common::{Random, STEALING, Watchdog, runtime, scaled};
use heist::net::{TcpListener, TcpStream};
use heist::{RingProfile, spawn};

/// How a side moves its bytes.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Short,
    Long,
}

impl Piece {
    fn size(self, random: &mut Random) -> usize {
        match self {
            Self::Short => 1 + random.below(7) as usize,
            Self::Long => 1 + random.below(60_000) as usize,
        }
    }
}

/// Sends `total` bytes of a sequence; yields their hash.
async fn produce(
    mut write: heist::net::OwnedWriteHalf,
    total: usize,
    piece: Piece,
    flip: Option<usize>,
) -> u64 {
    let (mut random, mut bytes) = (Random::new(1), Random::new(2));
    let mut hash = DefaultHasher::new();
    let mut sent = 0;
    let mut buffer = Vec::new();
    while sent < total {
        let size = piece.size(&mut random).min(total - sent);
        buffer.clear();
        buffer.extend((0..size).map(|_| bytes.next() as u8));
        hash.write(&buffer);
        if let Some(at) = flip.filter(|at| (sent..sent + size).contains(at)) {
            buffer[at - sent] ^= 1;
        }
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            let count = write.write(rest).await.unwrap();
            rest = &rest[count..];
        }
        sent += size;
    }
    hash.finish()
}

/// Reads to the end; yields length and hash.
async fn consume(mut read: heist::net::OwnedReadHalf, piece: Piece) -> (usize, u64) {
    let mut random = Random::new(3);
    let mut hash = DefaultHasher::new();
    let mut total = 0;
    let mut buffer = vec![0; 60_000];
    loop {
        let size = piece.size(&mut random);
        let count = read.read(&mut buffer[..size]).await.unwrap();
        if count == 0 {
            return (total, hash.finish());
        }
        hash.write(&buffer[..count]);
        total += count;
    }
}

/// Sends back what comes, in pieces.
async fn echo(stream: TcpStream, piece: Piece) {
    let mut random = Random::new(4);
    let (mut read, mut write) = stream.into_split();
    let mut buffer = vec![0; 60_000];
    loop {
        let size = piece.size(&mut random);
        let count = read.read(&mut buffer[..size]).await.unwrap();
        if count == 0 {
            return;
        }
        write.write_all(&buffer[..count]).await.unwrap();
    }
}

/// There and back; whether the hashes are equal.
async fn round_trip(total: usize, here: Piece, there: Piece, flip: Option<usize>) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(stream, there).await;
    });
    let (read, write) = TcpStream::connect(address).await.unwrap().into_split();
    let producer = spawn(produce(write, total, here, flip));
    let consumer = spawn(consume(read, here));
    let sent = producer.await.unwrap();
    let (count, received) = consumer.await.unwrap();
    server.await.unwrap();
    assert_eq!(count, total);
    sent == received
}

#[test]
fn short_reads_and_writes_keep_every_byte() {
    let _watchdog = Watchdog::new("short_reads_and_writes_keep_every_byte", 90);
    let total = scaled(128 << 10, 256 << 20);
    for profile in STEALING {
        for workers in [1, 2] {
            runtime(workers, profile).block_on(async {
                assert!(round_trip(total, Piece::Short, Piece::Short, None).await);
                assert!(round_trip(total, Piece::Long, Piece::Short, None).await);
                assert!(round_trip(4 * total, Piece::Short, Piece::Long, None).await);
                assert!(round_trip(32 * total, Piece::Long, Piece::Long, None).await);
            });
        }
    }
}

#[test]
fn control_a_changed_byte_changes_the_hash() {
    let runtime = runtime(2, RingProfile::Defer);
    let same = runtime.block_on(round_trip(20_000, Piece::Short, Piece::Short, Some(12_345)));
    assert!(!same, "the hash does not see a changed byte");
}
