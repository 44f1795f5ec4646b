//! The methods of readers and writers.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use heist_net::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use heist_runtime::{block_on, spawn};
use heist_sync::time::timeout;

use crate::support::*;

/// Control: without the `Drop` of `ReadExact` bytes are missing.
#[test]
fn read_exact_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        let sent = numbered(3000);
        let (client, mut server) = pair().await;
        let sender = spawn(dribble(client, sent.clone(), 1));
        let mut chance = Chance::new(2);
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let mut into = vec![0; (1 + chance.below(40)).min(sent.len() - received.len())];
            stubborn(&mut chance, async || server.read_exact(&mut into).await)
                .await
                .unwrap();
            received.extend_from_slice(&into);
        }
        assert_eq!(received, sent);
        assert!(server.recv().await.unwrap().is_none());
        drop(sender.await.unwrap());
    });
}

/// Control: a `ReadExact` that sets `filled` to 0 before it fails loses the three bytes.
#[test]
fn an_early_end_puts_back_what_was_read() {
    block_on(async {
        let (mut client, server) = pair().await;
        client.write_all(b"abc").await.unwrap();
        drop(client);
        let (mut read, _write) = server.into_split();
        let mut four = [0; 4];
        let error = read.read_exact(&mut four).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(&*read.recv().await.unwrap().unwrap(), b"abc");
        assert_eq!(read.read(&mut four).await.unwrap(), 0);
    });
}

/// Control: a `ReadToString` that does not put back half a character.
#[test]
fn read_to_string_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        for seed in 0..200 {
            let mut chance = Chance::new(seed);
            let text = "a\u{e4}\u{20ac}\u{1f980}b".repeat(1 + chance.below(20));
            let mut reader = Script::new(text.as_bytes(), 3, &mut chance);
            let mut into = String::from("> ");
            stubborn(&mut chance, async || reader.read_to_string(&mut into).await)
                .await
                .unwrap();
            assert_eq!(into, format!("> {text}"));
        }
    });
}

#[test]
fn what_is_not_utf8_is_put_back() {
    block_on(async {
        for seed in 0..50 {
            for bad in [
                &b"\xff"[..],
                b"\xe4",
                b"\xe2\x82",
                b"\xf0\x9f\xa6x",
                b"\xffrest",
            ] {
                let mut chance = Chance::new(seed);
                let bytes = [&b"g\xc3\xa4"[..], bad].concat();
                let mut reader = Script::new(&bytes, 4, &mut chance);
                let mut into = String::new();
                let error = reader.read_to_string(&mut into).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).await.unwrap();
                assert_eq!([into.as_bytes(), &rest].concat(), bytes);
            }
        }
    });
}

/// Control: a `read_to_end` that collects into a vector of its own, and appends it at the end.
#[test]
fn read_to_end_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        let sent = numbered(3000);
        let (client, mut server) = pair().await;
        let sender = spawn(dribble(client, sent.clone(), 3));
        let mut chance = Chance::new(4);
        let mut received = Vec::new();
        stubborn(&mut chance, async || {
            server.read_to_end(&mut received).await
        })
        .await
        .unwrap();
        assert_eq!(received, sent);
        drop(sender.await.unwrap());
    });
}

#[test]
fn read_buf_fills_what_there_is_room_for() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        client.write_all(b"hello world").await.unwrap();
        let mut five = [0; 5];
        let mut room = &mut five[..];
        assert_eq!(server.read_buf(&mut room).await.unwrap(), 5);
        assert_eq!(server.read_buf(&mut room).await.unwrap(), 0, "no room left");
        assert_eq!(&five, b"hello");
        let mut rest = BytesMut::new();
        assert_eq!(server.read_buf(&mut rest).await.unwrap(), 6);
        assert_eq!(&*rest, b" world");
        drop(client);
        assert_eq!(server.read_buf(&mut rest).await.unwrap(), 0);
    });
}

/// Control: a `write_buf` that advances also when its write is pending.
#[test]
fn write_all_buf_dropped_at_any_poll_loses_and_repeats_nothing() {
    block_on(async {
        let sent = numbered(4 << 20);
        let (mut client, mut server) = pair().await;
        let receiver = spawn(async move {
            let mut received = Vec::new();
            while let Some(bytes) = server.recv().await.unwrap() {
                received.extend_from_slice(&bytes);
                heist_sync::time::sleep(Duration::from_micros(20)).await;
            }
            received
        });
        let half = sent.len() / 2;
        let front = Bytes::copy_from_slice(&sent[..half]);
        let mut buffer = front.chain(Bytes::copy_from_slice(&sent[half..]));
        let mut chance = Chance::new(5);
        loop {
            let attempt = client.write_all_buf(&mut buffer);
            let patience = Duration::from_micros(chance.below(200) as u64);
            // One of the two ways to give up: dropped, or cancelled by a scope.
            let done = if chance.below(2) == 0 {
                impatient(attempt, chance.below(4)).await
            } else {
                timeout(patience, attempt).await.ok()
            };
            if let Some(outcome) = done {
                outcome.unwrap();
                break;
            }
        }
        drop(client);
        assert!(receiver.await.unwrap() == sent);
    });
}

/// The futures of the methods are `Send` also where the type is not known, and the traits work behind boxes.
#[test]
fn generic_code_can_be_spawned() {
    async fn upper<R: AsyncRead, W: AsyncWrite>(mut read: R, mut write: W) {
        let mut line = Vec::new();
        read.read_to_end(&mut line).await.unwrap();
        line.make_ascii_uppercase();
        let (written, line) = write.write_all_owned(line).await;
        written.unwrap();
        assert_eq!(write.write(&line[..0]).await.unwrap(), 0);
        write.flush().await.unwrap();
        write.shutdown().await.unwrap();
    }
    block_on(async {
        for boxed in [false, true] {
            let (client, server) = pair().await;
            let (read, write) = server.into_split();
            let task = if boxed {
                let read: Box<dyn AsyncRead> = Box::new(read);
                let write: Box<dyn AsyncWrite> = Box::new(write);
                spawn(upper(read, write))
            } else {
                spawn(upper(read, write))
            };
            let (mut read, mut write) = client.into_split();
            let parts = [IoSlice::new(b""), IoSlice::new(b"shou"), IoSlice::new(b"t")];
            assert_eq!(write.write_vectored(&parts).await.unwrap(), 5);
            AsyncWriteExt::shutdown(&mut write).await.unwrap();
            let mut back = String::new();
            read.read_to_string(&mut back).await.unwrap();
            assert_eq!(back, "SHOUT");
            task.await.unwrap();
        }
    });
}

#[test]
fn errors_come_through_and_keep_what_was_read() {
    block_on(async {
        let mut chance = Chance::new(6);
        let script = Script::new(b"abc", 2, &mut chance);
        let mut reader = script.then_fails(ErrorKind::ConnectionReset);
        let mut five = [0; 5];
        let error = reader.read_exact(&mut five).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let mut rest = Vec::new();
        assert_eq!(reader.read_to_end(&mut rest).await.unwrap(), 3);
        assert_eq!(rest, b"abc");
    });
}
