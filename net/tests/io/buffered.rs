//! Buffers, lines and parts.

use std::io::ErrorKind;

use heist_net::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream,
    BufWriter,
};
use heist_runtime::{block_on, spawn};
use heist_sync::stream::StreamExt;

use crate::support::*;

fn text(lines: usize) -> String {
    (0..lines)
        .map(|i| format!("{i} {}\n", "\u{20ac}".repeat(i % 9)))
        .collect()
}

/// Control: without the `Drop` of `ReadLine` beginnings of lines are missing.
#[test]
fn read_line_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        let sent = text(200);
        let (client, mut server) = pair().await;
        let sender = spawn(dribble(client, sent.clone().into_bytes(), 1));
        let mut chance = Chance::new(2);
        let mut received = String::new();
        for line in sent.split_inclusive('\n') {
            let before = received.clone();
            let count = loop {
                let attempt = impatient(server.read_line(&mut received), chance.below(3)).await;
                match attempt {
                    Some(count) => break count.unwrap(),
                    None => assert_eq!(received, before, "a dropped read_line changed its String"),
                }
                heist_runtime::yield_now().await;
            };
            assert_eq!(count, line.len());
        }
        assert_eq!(received, sent);
        assert_eq!(server.read_line(&mut received).await.unwrap(), 0);
        drop(sender.await.unwrap());
    });
}

/// Control: a `Lines::into_inner` that does not put back.
#[test]
fn lines_and_what_is_left_of_them() {
    block_on(async {
        for seed in 0..200 {
            let mut chance = Chance::new(seed);
            let sent = text(12) + "the end";
            let most = 1 + chance.below(20);
            let script = Script::new(sent.as_bytes(), most, &mut chance);
            let mut lines = BufReader::new(script).lines();
            let mut received = String::new();
            for _ in 0..chance.below(12) {
                let line = stubborn(&mut chance, async || lines.next_line().await);
                received += &(line.await.unwrap().unwrap() + "\n");
            }
            // Perhaps half a line.
            if let Some(line) = impatient(lines.next_line(), chance.below(2)).await {
                received += &(line.unwrap().unwrap() + "\n");
            }
            let mut script = lines.into_inner().into_inner();
            script.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, sent);
        }
    });
}

#[test]
fn ends_of_lines() {
    block_on(async {
        let mut chance = Chance::new(7);
        let script = Script::new(b"a\r\n\nb\r\r\n\xff\nc\rd\r", 3, &mut chance);
        let lines: Vec<_> = BufReader::new(script).lines().collect().await;
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| line.map_err(|error| error.kind()))
            .collect();
        let expected = ["a", "", "b\r"].map(|line| Ok(line.to_owned()));
        assert_eq!(lines[..3], expected);
        assert_eq!(lines[3], Err(ErrorKind::InvalidData));
        assert_eq!(lines[4..], [Ok("c\rd\r".to_owned())]);
    });
}

#[test]
fn parts_between_delimiters() {
    block_on(async {
        for seed in 0..50 {
            let mut chance = Chance::new(seed);
            let script = Script::new(b"one;;three;\n", 3, &mut chance);
            let mut parts = BufReader::new(script).split(b';');
            let mut all = Vec::new();
            while let Some(part) = stubborn(&mut chance, async || parts.next_segment().await)
                .await
                .unwrap()
            {
                all.push(String::from_utf8(part).unwrap());
            }
            assert_eq!(all, ["one", "", "three", "\n"]);
        }
    });
}

/// Control: a `read_until` into a vector of its own.
#[test]
fn read_until_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        for seed in 0..100 {
            let mut chance = Chance::new(seed);
            let mut reader = BufReader::new(Script::new(b"key=value", 2, &mut chance));
            let mut into = Vec::new();
            stubborn(&mut chance, async || {
                reader.read_until(b'=', &mut into).await
            })
            .await
            .unwrap();
            assert_eq!(into, b"key=");
            let shown = reader.fill_buf().await.unwrap().len();
            assert_eq!(shown, reader.buffer().len());
            reader.consume(1);
            into.clear();
            reader.read_to_end(&mut into).await.unwrap();
            assert_eq!(into, b"alue");
            assert_eq!(reader.fill_buf().await.unwrap(), b"");
        }
    });
}

/// Control: a `poll_drain` that clears what it has gathered when a write fails.
#[test]
fn a_buffered_writer_loses_no_byte_and_no_error() {
    block_on(async {
        for seed in 0..300 {
            let mut chance = Chance::new(seed);
            let bytes = numbered(1 + chance.below(200));
            let fails_at = chance.below(bytes.len());
            let sink = Sink::new(9, seed).failing_at(fails_at);
            let mut writer = BufWriter::with_capacity(1 + chance.below(40), sink);
            let mut errors = 0;
            for piece in chance.cut(&bytes, 50) {
                let mut rest = piece;
                while !rest.is_empty() {
                    match impatient(writer.write_all_buf(&mut rest), chance.below(4)).await {
                        Some(Err(error)) => {
                            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                            errors += 1;
                        }
                        Some(Ok(())) => assert!(rest.is_empty()),
                        None => {}
                    }
                }
            }
            loop {
                match impatient(writer.shutdown(), chance.below(4)).await {
                    Some(Err(_)) => errors += 1,
                    Some(Ok(())) => break,
                    None => {}
                }
            }
            assert_eq!(errors, 1, "the error was told once");
            assert!(writer.buffer().is_empty());
            let sink = writer.into_inner();
            assert_eq!(sink.taken, bytes);
            assert!(sink.is_shut && sink.flushed == bytes.len());
        }
    });
}

#[test]
fn a_buffered_stream_over_a_socket() {
    block_on(async {
        let (client, server) = pair().await;
        let echo = spawn(async move {
            let mut stream = BufStream::new(server);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 0 {
                stream
                    .write_all(line.to_uppercase().as_bytes())
                    .await
                    .unwrap();
                stream.flush().await.unwrap();
                line.clear();
            }
            stream.shutdown().await.unwrap();
        });
        let mut client = BufStream::new(client);
        for word in ["one", "two"] {
            for part in [word, "\n"] {
                client.write_all(part.as_bytes()).await.unwrap();
            }
            assert!(client.is_write_vectored());
            client.flush().await.unwrap();
            let mut line = String::new();
            client.read_line(&mut line).await.unwrap();
            assert_eq!(line, word.to_uppercase() + "\n");
        }
        AsyncWriteExt::shutdown(&mut client).await.unwrap();
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).await.unwrap(), 0);
        echo.await.unwrap();
    });
}
