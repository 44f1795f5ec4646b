//! Files, as streams and at offsets.

mod common;

use std::io::{ErrorKind, IoSlice, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use common::{Chance, Folder, block_on, byte, bytes, eventually, polls};
use heist_fs::{AlignedBuf, File, OpenOptions};
use heist_net::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use heist_runtime::spawn;
use heist_sync::time::sleep;

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new();
    block_on(async {
        let all = bytes(300_000);
        let mut file = File::create_new(folder.path("new")).await.unwrap();
        file.write_all(&all[..1]).await.unwrap();
        file.write_all(&all[1..200_001]).await.unwrap();
        // A read sees what was written without a flush, and is behind it.
        assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0);
        file.write_all_owned(all[200_001..].to_vec())
            .await
            .0
            .unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 300_000);
        assert_eq!(file.metadata().await.unwrap().len(), 300_000);
        file.rewind().await.unwrap();
        let mut back = Vec::new();
        file.read_to_end(&mut back).await.unwrap();
        assert!(back == all);
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        let error = File::create_new(folder.path("new")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        drop(File::create(folder.path("new")).await.unwrap());
        assert_eq!(std::fs::metadata(folder.path("new")).unwrap().len(), 0);
    });
}

#[test]
fn writes_of_several_slices_are_one() {
    let folder = Folder::new();
    block_on(async {
        let mut file = File::create_new(folder.path("parts")).await.unwrap();
        let parts = [&b"one"[..], b"", b"two", b"three"].map(IoSlice::new);
        assert_eq!(file.write_vectored(&parts).await.unwrap(), 11);
        file.set_max_buf_size(5);
        assert_eq!(file.max_buf_size(), 5);
        assert_eq!(file.write_vectored(&parts).await.unwrap(), 5);
        assert_eq!(file.write(b"").await.unwrap(), 0);
        file.flush().await.unwrap();
        assert_eq!(
            std::fs::read(folder.path("parts")).unwrap(),
            b"onetwothreeonetw"
        );
    });
}

/// Control, tried: `poll_seek` with the position of the kernel instead of that behind what was put back.
#[test]
fn seeks_from_everywhere() {
    let folder = Folder::new();
    let path = folder.file("numbers", bytes(100_000));
    block_on(async {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        let mut four = [0; 4];
        let next = async |file: &mut File, at: usize| {
            let mut four = [0; 4];
            file.read_exact(&mut four).await.unwrap();
            assert_eq!(four, [0, 1, 2, 3].map(|i| byte(at + i)));
        };
        assert_eq!(file.seek(SeekFrom::Start(1000)).await.unwrap(), 1000);
        next(&mut file, 1000).await;
        assert_eq!(file.seek(SeekFrom::Current(-4)).await.unwrap(), 1000);
        next(&mut file, 1000).await;
        assert_eq!(file.seek(SeekFrom::End(-8)).await.unwrap(), 99_992);
        next(&mut file, 99_992).await;
        // What was read ahead is not where it is.
        file.rewind().await.unwrap();
        let ahead = file.recv().await.unwrap().unwrap();
        assert!(ahead.len() > 8);
        heist_net::io::AsyncRead::unread(&mut file, ahead);
        assert_eq!(file.stream_position().await.unwrap(), 0);
        file.read_exact(&mut four).await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 4);
        next(&mut file, 4).await;
        assert_eq!(file.seek(SeekFrom::Current(2)).await.unwrap(), 10);
        next(&mut file, 10).await;
        for bad in [
            SeekFrom::Current(-100),
            SeekFrom::Start(u64::MAX),
            SeekFrom::End(i64::MIN),
        ] {
            let error = file.seek(bad).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(file.stream_position().await.unwrap(), 14);
        }
        // Behind the end there is nothing, and what is written there leaves a hole.
        file.seek(SeekFrom::End(10)).await.unwrap();
        assert_eq!(file.read(&mut four).await.unwrap(), 0);
        file.write_all(b"!").await.unwrap();
        file.flush().await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(
            (whole.len(), &whole[100_000..]),
            (100_011, &b"\0\0\0\0\0\0\0\0\0\0!"[..])
        );
    });
}

/// Reads, writes and seeks by chance, beside a model. Control, tried: a write that leaves the position where it was.
#[test]
fn any_order_of_steps_is_as_in_a_vector() {
    let folder = Folder::new();
    block_on(async {
        for seed in 0..6 {
            let mut chance = Chance::new(seed);
            let path = folder.path(&seed.to_string());
            let mut file = File::create_new(&path).await.unwrap();
            let (mut model, mut at) = (Vec::new(), 0_usize);
            for step in 0..300_usize {
                let size = chance.below(3000) as usize;
                match chance.below(6) {
                    0 => {
                        let target = chance.below(20_000) as usize;
                        file.seek(SeekFrom::Start(target as u64)).await.unwrap();
                        at = target;
                    }
                    1 => {
                        let by = (chance.below(4000) as i64 - 2000).max(-(at as i64));
                        let now = file.seek(SeekFrom::Current(by)).await.unwrap();
                        at = (at as i64 + by) as usize;
                        assert_eq!(now, at as u64);
                    }
                    2 | 3 => {
                        let what: Vec<u8> = (0..size).map(|i| byte(step + i)).collect();
                        file.write_all(&what).await.unwrap();
                        if size > 0 {
                            model.resize(model.len().max(at + size), 0);
                            model[at..at + size].copy_from_slice(&what);
                        }
                        at += size;
                    }
                    4 => {
                        let mut into = vec![0; size];
                        let count = file.read(&mut into).await.unwrap();
                        let there = model.get(at..).unwrap_or_default();
                        assert_eq!(count, size.min(there.len()));
                        assert!(into[..count] == there[..count], "{seed} {step}");
                        at += count;
                    }
                    _ => {
                        // Looked at, and taken in part.
                        let shown = file.fill_buf().await.unwrap();
                        let count = shown.len().min(size);
                        assert!(shown[..count] == model.get(at..).unwrap_or_default()[..count]);
                        heist_net::io::AsyncBufRead::consume(&mut file, count);
                        at += count;
                    }
                }
            }
            file.flush().await.unwrap();
            assert!(std::fs::read(&path).unwrap() == model);
        }
    });
}

/// Dropped after any number of polls a read has read nothing, and no byte is lost or comes twice. Control, tried: a position
/// that moves when the read is submitted.
#[test]
fn a_dropped_read_loses_no_position() {
    let folder = Folder::new();
    let path = folder.file("long", bytes(400_000));
    block_on(async {
        let mut file = File::open(&path).await.unwrap();
        let mut chance = Chance::new(1);
        let (mut at, mut dropped) = (0, 0);
        while at < 400_000 {
            let mut into = vec![0; 1 + chance.below(9000) as usize];
            let patience = chance.below(3) as u32;
            match polls(patience, file.read(&mut into)).await {
                Some(count) => {
                    let count = count.unwrap();
                    assert!(
                        into[..count]
                            .iter()
                            .enumerate()
                            .all(|(i, one)| *one == byte(at + i))
                    );
                    at += count;
                }
                None => {
                    dropped += 1;
                    if chance.below(3) == 0 {
                        assert_eq!(file.stream_position().await.unwrap(), at as u64);
                    }
                    if chance.below(3) == 0 {
                        // It goes on in another task.
                        file = spawn(async { file }).await.unwrap();
                    }
                }
            }
        }
        assert!(dropped > 10, "{dropped}");
        assert_eq!(file.read(&mut [0]).await.unwrap(), 0);
    });
}

/// A `write` that is dropped has written nothing; one that has returned is written. Control, tried: `poll_write` that starts
/// before the last write has ended (it panics).
#[test]
fn a_dropped_write_has_written_nothing() {
    let folder = Folder::new();
    let path = folder.path("writes");
    block_on(async {
        let mut file = File::create(&path).await.unwrap();
        let mut chance = Chance::new(2);
        let (mut model, mut dropped) = (Vec::new(), 0);
        for step in 0..500_usize {
            let what: Vec<u8> = (0..1 + chance.below(5000) as usize)
                .map(|i| byte(step * 31 + i))
                .collect();
            match polls(chance.below(3) as u32, file.write(&what)).await {
                Some(count) => model.extend_from_slice(&what[..count.unwrap()]),
                None => dropped += 1,
            }
        }
        assert!(dropped > 10, "{dropped}");
        file.flush().await.unwrap();
        assert!(std::fs::read(&path).unwrap() == model);
    });
}

/// Control, tried: a `WriteBehind` without its `Drop`.
#[test]
fn a_file_that_is_dropped_still_writes() {
    let folder = Folder::new();
    block_on(async {
        for round in 0..20 {
            let path = folder.path(&round.to_string());
            let mut file = File::create(&path).await.unwrap();
            let count = file.write(&bytes(50_000)).await.unwrap();
            drop(file);
            let written = || std::fs::metadata(&path).unwrap().len() == count as u64;
            eventually("the write goes on", written).await;
        }
    });
}

/// What is accepted while a write is under way is written when that has ended, also if nobody asks for it. Control, tried:
/// a pump that ends with the first write.
#[test]
fn what_is_gathered_is_written_without_being_asked_for() {
    let folder = Folder::new();
    block_on(async {
        for round in 0..40_usize {
            let path = folder.path(&round.to_string());
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).append(round % 2 == 0);
            let mut file = options.open(&path).await.unwrap();
            let mut model = Vec::new();
            // Most of them are accepted at once.
            for piece in 0..1 + round * 7 % 64 {
                let what: Vec<u8> = (0..1 + piece * 97 % 6000)
                    .map(|i| byte(piece * 31 + i))
                    .collect();
                file.write_all(&what).await.unwrap();
                model.extend_from_slice(&what);
            }
            let kept = (round % 3 == 0).then_some(file);
            let written = || std::fs::metadata(&path).unwrap().len() == model.len() as u64;
            eventually("the writes go on", written).await;
            assert!(std::fs::read(&path).unwrap() == model);
            drop(kept);
        }
    });
}

/// A write that fails takes with it what was accepted behind it: the next call is told, once, and the position is where the
/// writing stopped. Controls, tried: a failure that counts only its own bytes as unwritten; a pump that keeps the error
/// to itself.
#[test]
fn the_position_after_an_error_is_behind_what_was_written() {
    let folder = Folder::new();
    let path = folder.path("long");
    // The longest that a file may be here.
    let file = std::fs::File::create(&path).unwrap();
    let (mut fits, mut fails) = (0, 1_u64 << 63);
    while fails - fits > 1 {
        let middle = fits + (fails - fits) / 2;
        match file.set_len(middle) {
            Ok(()) => fits = middle,
            Err(_) => fails = middle,
        }
    }
    file.set_len(0).unwrap();
    block_on(async {
        for room in [1_u64, 10_000, 200_000] {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).open(&path).await.unwrap();
            file.seek(SeekFrom::Start(fits - room)).await.unwrap();
            let mut accepted = Vec::new();
            let error = loop {
                let what: Vec<u8> = (0..3000).map(|i| byte(accepted.len() + i)).collect();
                match file.write(&what).await {
                    Ok(count) => accepted.extend_from_slice(&what[..count]),
                    Err(error) => break error,
                }
                if accepted.len() > 500_000 {
                    break file.flush().await.unwrap_err();
                }
            };
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            file.flush().await.unwrap();
            assert_eq!(file.stream_position().await.unwrap(), fits);
            assert!(accepted.len() as u64 > room);
            let there = vec![0; room as usize];
            let (read, there) = file.read_exact_at(there, fits - room).await;
            read.unwrap();
            assert!(there == accepted[..room as usize]);
        }
    });
}

/// A cancelled task leaves the file as it is: what was accepted is written when the file is used again.
#[test]
fn a_file_outlives_the_task_that_used_it() {
    let folder = Folder::new();
    let path = folder.path("shared");
    block_on(async {
        let file = Arc::new(heist_sync::Mutex::new(File::create(&path).await.unwrap()));
        let mut total = 0;
        for round in 0..20 {
            let (here, count) = (
                file.clone(),
                Arc::new(std::sync::atomic::AtomicUsize::new(0)),
            );
            let counts = count.clone();
            let task = spawn(async move {
                let mut file = here.lock().await;
                loop {
                    let written = file.write(&[7; 3000]).await.unwrap();
                    counts.fetch_add(written, std::sync::atomic::Ordering::SeqCst);
                }
            });
            sleep(Duration::from_micros(200 * round)).await;
            task.cancel_and_join().await.unwrap_err();
            total += count.load(std::sync::atomic::Ordering::SeqCst);
        }
        file.lock().await.flush().await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), total as u64);
    });
}

#[test]
fn appended_lines_go_to_the_end() {
    let folder = Folder::new();
    let path = folder.file("log", b"first\n");
    block_on(async {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let mut log = options.open(&path).await.unwrap();
        let mut line = String::new();
        log.read_line(&mut line).await.unwrap();
        log.write_all(b"second\n").await.unwrap();
        // Another writer comes in between.
        log.flush().await.unwrap();
        let mut other = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        other.write_all(b"third\n").unwrap();
        log.write_all_owned(b"fourth\n".to_vec()).await.0.unwrap();
        let all = "first\nsecond\nthird\nfourth\n";
        assert_eq!(log.stream_position().await.unwrap(), all.len() as u64);
        log.rewind().await.unwrap();
        line.clear();
        log.read_to_string(&mut line).await.unwrap();
        assert_eq!(line, all);
    });
}

#[test]
fn options_are_those_of_open() {
    let folder = Folder::new();
    let path = folder.file("there", b"content");
    block_on(async {
        let open = |change: fn(&mut OpenOptions)| {
            let mut options = OpenOptions::new();
            change(&mut options);
            let path = path.clone();
            async move { options.open(path).await }
        };
        let refused: [fn(&mut OpenOptions); 3] = [
            |_| {},
            |options| {
                options.read(true).create(true);
            },
            |options| {
                options.read(true).truncate(true);
            },
        ];
        for change in refused {
            assert_eq!(
                open(change).await.unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        let none = File::open(folder.path("none")).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        let zero = File::open("a\0b").await.unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
        let mut file = open(|options| {
            options.write(true);
        })
        .await
        .unwrap();
        file.write_all(b"C").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"Content");
        // Opened for writing only: reading says so, and goes on saying it.
        for _ in 0..2 {
            assert_eq!(
                file.read(&mut [0]).await.unwrap_err().raw_os_error(),
                Some(9)
            );
        }
        let mut made = OpenOptions::new();
        made.write(true).create_new(true).mode(0o600);
        let made = made.open(folder.path("made")).await.unwrap();
        assert_eq!(
            made.metadata().await.unwrap().permissions().mode() & 0o777,
            0o600
        );
        made.set_permissions(std::fs::Permissions::from_mode(0o640))
            .await
            .unwrap();
        assert_eq!(
            made.metadata().await.unwrap().permissions().mode() & 0o777,
            0o640
        );
        made.set_len(1234).await.unwrap();
        assert_eq!(made.metadata().await.unwrap().len(), 1234);
    });
}

/// The error of a write in the background is told once, by the next call, and the position is where it stopped.
#[test]
fn errors_of_writes_are_told_once() {
    block_on(async {
        let mut full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .await
            .unwrap();
        for _ in 0..3 {
            assert_eq!(full.write(b"never").await.unwrap(), 5);
            let error = full.flush().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            full.flush().await.unwrap();
        }
        full.write_all(b"never").await.unwrap();
        assert_eq!(
            full.write(b"again").await.unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        full.write_all(b"never").await.unwrap();
        assert_eq!(
            full.sync_all().await.unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        full.flush().await.unwrap();
        assert_eq!(full.stream_position().await.unwrap(), 0);
    });
}

#[test]
fn many_tasks_read_and_write_at_offsets() {
    let folder = Folder::new();
    let path = folder.path("blocks");
    block_on(async {
        let file = Arc::new(File::create_new(&path).await.unwrap());
        let writers: Vec<_> = (0..32_usize)
            .map(|block| {
                let file = file.clone();
                spawn(async move {
                    let at = block * 5000;
                    let what: Vec<u8> = (at..at + 5000).map(byte).collect();
                    let (written, what) = file.write_all_at(what, at as u64).await;
                    written.unwrap();
                    let (read, back) = file.read_exact_at(vec![0; 5000], at as u64).await;
                    read.unwrap();
                    assert!(back == what);
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes(160_000));
        let (read, tail) = file.read_at(Vec::with_capacity(100), 159_990).await;
        assert_eq!((read.unwrap(), tail.len()), (10, 10));
        let (read, tail) = file.read_exact_at(Vec::with_capacity(100), 159_990).await;
        assert_eq!(
            (read.unwrap_err().kind(), tail.len()),
            (ErrorKind::UnexpectedEof, 10)
        );
        let (read, _) = file.read_at(vec![0; 1], u64::MAX).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidInput);
        let (written, _) = file.write_at(vec![0; 1], u64::MAX).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidInput);
        let parts = vec![vec![0; 3], Vec::new(), vec![0; 5]];
        let (read, parts) = file.read_vectored_at(parts, 7).await;
        assert_eq!(
            (read.unwrap(), parts.concat()),
            (8, (7..15).map(byte).collect())
        );
        let (written, _) = file.write_vectored_at(vec![&b"ab"[..], b"c"], 8).await;
        assert_eq!(written.unwrap(), 3);
        let (_, back) = file.read_at(vec![0; 5], 7).await;
        assert_eq!(back, [byte(7), b'a', b'b', b'c', byte(11)]);
    });
}

#[test]
fn direct_reads_and_writes() {
    let folder = Folder::new();
    let path = folder.path("direct");
    // Not of the crates that are here: 0o40000 on x86-64, another number elsewhere.
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    block_on(async {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(direct);
        let file = match options.open(&path).await {
            Ok(file) => file,
            Err(error) => {
                eprintln!("skipped: the file system has no direct I/O ({error})");
                return;
            }
        };
        let mut block = AlignedBuf::new(8192);
        block.extend_from_slice(&bytes(8192));
        file.write_all_at(block, 4096).await.0.unwrap();
        let (read, back) = file.read_exact_at(AlignedBuf::new(8192), 4096).await;
        read.unwrap();
        assert!(*back == *bytes(8192));
        let (read, back) = file.read_at(back, 0).await;
        assert_eq!((read.unwrap(), back[0]), (8192, 0));
    });
}
