//! Files among others: readers and writers around them, the standard library, pipes, and runtimes.

mod common;

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use common::{Folder, block_on, byte, bytes, polls};
use heist_fs::{File, OpenOptions};
use heist_net::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream,
    BufWriter, copy,
};
use heist_runtime::{Builder, spawn, yield_now};
use heist_sync::time::{sleep, timeout};

/// What a file has gathered is written although its runtime ends, and nobody has flushed; only a write that was alone may be
/// lost, as it is of any file that was not flushed. A file that is dropped in a runtime that has ended waits for nothing. Controls, tried: a pump that is not shielded, or is entrusted with
/// bytes before it has begun (the file is short); one that is spawned under the lock of the writes (it hangs).
#[test]
fn a_runtime_that_ends_writes_what_was_accepted() {
    let folder = Folder::new();
    for round in 0..40_usize {
        let path = folder.path(&round.to_string());
        let runtime = Builder::new().worker_threads(1 + round % 2).build();
        let runtime = runtime.expect("a runtime");
        let file = runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            for piece in 0..20 {
                file.write_all(&bytes(1 + piece * 300)).await.unwrap();
            }
            (round % 4 < 2).then_some(file)
        });
        let handle = runtime.handle();
        assert!(runtime.shutdown(Duration::from_secs(20)).is_clean());
        let all: u64 = (0..20).map(|piece| 1 + piece * 300).sum();
        let there = std::fs::metadata(&path).unwrap().len();
        let last = 1 + 19 * 300;
        assert!([all, all - last].contains(&there), "{there} of {all}");
        let _guard = handle.enter();
        drop(file);
    }
}

#[test]
fn readers_and_writers_of_others_work_on_files() {
    let folder = Folder::new();
    let path = folder.path("text");
    block_on(async {
        let mut writer = BufWriter::new(File::create(&path).await.unwrap());
        for i in 0..2000 {
            writer
                .write_all(format!("line {i}\n").as_bytes())
                .await
                .unwrap();
        }
        assert_eq!(writer.stream_position().await.unwrap(), 18_890);
        writer.flush().await.unwrap();
        let mut lines = File::open(&path).await.unwrap().lines();
        for i in 0..2000 {
            let line = lines.next_line().await.unwrap();
            assert_eq!(line, Some(format!("line {i}")));
        }
        assert_eq!(lines.next_line().await.unwrap(), None);

        let mut reader = BufReader::new(File::open(&path).await.unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(reader.stream_position().await.unwrap(), 7);
        reader.seek(SeekFrom::Current(7)).await.unwrap();
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line, "line 2\n");

        let both = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        let mut both = BufStream::new(both);
        both.write_all(b"LINE").await.unwrap();
        both.seek(SeekFrom::Start(0)).await.unwrap();
        line.clear();
        both.read_line(&mut line).await.unwrap();
        assert_eq!(line, "LINE 0\n");

        let mut from = File::open(&path).await.unwrap();
        let mut to = File::create(folder.path("copy")).await.unwrap();
        assert_eq!(copy(&mut from, &mut to).await.unwrap(), 18_890);
        assert_eq!(
            std::fs::read(folder.path("copy")).unwrap(),
            std::fs::read(&path).unwrap()
        );
    });
}

/// Control, tried: `try_into_std` without `publish_position`.
#[test]
fn files_become_those_of_the_standard_library_and_back() {
    let folder = Folder::new();
    let path = folder.path("std");
    block_on(async {
        let mut file = File::create_new(&path).await.unwrap();
        file.write_all(&bytes(60_000)).await.unwrap();
        let mut std = file.into_std().await;
        assert_eq!(std.stream_position().unwrap(), 60_000);
        assert_eq!(std.metadata().unwrap().len(), 60_000);
        std.seek(SeekFrom::Start(100)).unwrap();

        let mut file = File::from(std);
        let mut four = [0; 4];
        file.read_exact(&mut four).await.unwrap();
        assert_eq!(four, [100, 101, 102, 103].map(byte));
        let mut clone = file.try_clone().await.unwrap();
        clone.read_exact(&mut four).await.unwrap();
        assert_eq!(four, [104, 105, 106, 107].map(byte));
        file.read_exact(&mut four).await.unwrap();
        assert_eq!(four, [104, 105, 106, 107].map(byte));
        // Read ahead, and a read that nobody has waited for: the position is that of the program.
        file.fill_buf().await.unwrap();
        let mut std = file.try_into_std().unwrap();
        std.read_exact(&mut four).unwrap();
        assert_eq!(four, [108, 109, 110, 111].map(byte));
        let mut file = File::from_std(std);
        file.seek(SeekFrom::Start(50_000)).await.unwrap();
        for patience in [1, 2] {
            let _ = polls(patience, file.read(&mut [0; 3])).await;
            file.seek(SeekFrom::Start(50_000)).await.unwrap();
        }
        assert_eq!(file.into_std().await.stream_position().unwrap(), 50_000);

        // One that writes is given back.
        let mut file = File::create(&path).await.unwrap();
        file.write_all(&bytes(60_000)).await.unwrap();
        if let Err(back) = file.try_into_std() {
            back.into_std().await;
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 60_000);
    });
}

/// A file without a position: what comes is read in order, and a read that is dropped takes nothing.
#[test]
fn pipes_with_a_name_are_files_too() {
    let folder = Folder::new();
    let path = folder.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    block_on(async {
        // Each waits for the other, on threads of the kernel's.
        let reads = spawn(File::open(path.clone()));
        let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
        let mut reader = reads.await.unwrap().unwrap();
        assert_eq!(
            reader.seek(SeekFrom::Start(1)).await.unwrap_err().kind(),
            ErrorKind::NotSeekable
        );
        let mut three = [0; 3];
        timeout(Duration::from_millis(5), reader.read(&mut three))
            .await
            .unwrap_err();
        assert!(polls(2, reader.read(&mut three)).await.is_none());
        writer.write_all(b"abcdef").await.unwrap();
        writer.flush().await.unwrap();
        for expected in [b"abc", b"def"] {
            reader.read_exact(&mut three).await.unwrap();
            assert_eq!(&three, expected);
        }
        // More than fits, while the other end is asleep.
        let sends = spawn(async move {
            writer.write_all(&bytes(200_000)).await.unwrap();
            writer.write_all_owned(bytes(100_000)).await.0.unwrap();
            writer.shutdown().await.unwrap();
        });
        sleep(Duration::from_millis(5)).await;
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        assert!(all[..200_000] == bytes(200_000) && all[200_000..] == bytes(100_000));
        sends.await.unwrap();
    });
}

/// What the kernel makes up as it is read, and says is empty.
#[test]
fn files_without_a_size_are_read_to_their_end() {
    block_on(async {
        let mut text = String::new();
        let mut file = File::open("/proc/self/status").await.unwrap();
        file.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("Name:") && text.ends_with('\n'));
        let mut zeros = File::open("/dev/zero").await.unwrap();
        let mut some = [1; 100];
        zeros.read_exact(&mut some).await.unwrap();
        assert_eq!(some, [0; 100]);
        let folder = File::open("/proc")
            .await
            .unwrap()
            .read(&mut some)
            .await
            .unwrap_err();
        assert_eq!(folder.kind(), ErrorKind::IsADirectory);
    });
}

#[test]
fn a_file_goes_from_one_runtime_to_the_next() {
    let folder = Folder::new();
    let path = folder.path("moves");
    let mut file = block_on(async {
        let mut file = File::create_new(&path).await.unwrap();
        file.write_all(b"one, ").await.unwrap();
        file
    });
    block_on(async {
        file.write_all(b"two").await.unwrap();
        file.rewind().await.unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one, two");
    });
    drop(file);
}

/// What a file has gathered in a runtime that nobody runs is written in the next one. Controls, tried: the owner waits for the pump
/// of the other runtime (the file is empty, or a flush hangs); the end of the second does not wait for what was gathered in the first (10,000
/// bytes).
#[test]
fn a_file_goes_on_where_another_runtime_rests() {
    let folder = Folder::new();
    for round in 0..30_usize {
        let path = folder.path(&round.to_string());
        let runtime = |workers| Builder::new().worker_threads(workers).build().unwrap();
        // The first goes on resting, or running.
        let (first, second) = (runtime(1 + round / 3 % 2), runtime(1));
        let mut file = first.block_on(async {
            let mut file = File::create_new(&path).await.unwrap();
            for _ in 0..3 {
                file.write_all(&bytes(10_000)).await.unwrap();
            }
            file
        });
        second.block_on(async {
            if round % 3 > 0 {
                file.write_all(b"more").await.unwrap();
            }
            if round % 3 > 1 {
                let flushed = timeout(Duration::from_secs(10), file.flush()).await;
                flushed.expect("it does not wait for the other").unwrap();
            }
            drop(file);
            // What a runtime ends before it has begun is lost.
            sleep(Duration::from_millis(1)).await;
        });
        assert!(second.shutdown(Duration::from_secs(10)).is_clean());
        let there = std::fs::metadata(&path).unwrap().len();
        // Without a flush the last one may be lost, if it was alone.
        let expected = [[30_000, 20_000], [30_004, 30_000], [30_004, 30_004]][round % 3];
        assert!(expected.contains(&there), "{there}, round {round}");
        assert!(first.shutdown(Duration::from_secs(10)).is_clean());
    }
}

/// Control, tried: a first write from there that is begun where it is asked for, so that a task relays it (the runtime's end
/// waits for all of its grace, or the file is short).
#[test]
fn a_file_of_a_thread_outside_is_written_to_its_end() {
    let folder = Folder::new();
    for round in 0..30 {
        let path = folder.path(&format!("{round}"));
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let handle = runtime.handle();
        let outside = std::thread::spawn({
            let path = path.clone();
            move || {
                handle.block_on(async {
                    let mut file = File::create_new(&path).await.unwrap();
                    for _ in 0..3 {
                        file.write_all(&bytes(10_000)).await.unwrap();
                    }
                });
            }
        });
        outside.join().unwrap();
        assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
        // The last may have been alone.
        let there = std::fs::metadata(&path).unwrap().len();
        assert!([20_000, 30_000].contains(&there), "{there}");
    }
}

/// Where each write is a command, none is made of two. Control, tried: files there are gathered as others are (the name is
/// `betagamma`).
#[test]
fn writes_to_proc_stay_what_they_are() {
    let path = format!("/proc/self/task/{}/comm", own_number());
    block_on(async {
        let mut file = OpenOptions::new().write(true).open(&path).await.unwrap();
        for name in ["alpha", "beta", "gamma"] {
            file.write_all(name.as_bytes()).await.unwrap();
        }
        file.flush().await.unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "gamma\n");
}

/// The number of this thread, whose name may be changed.
fn own_number() -> String {
    let own = std::fs::read_link("/proc/thread-self").expect("/proc");
    let number = own.file_name().expect("a number");
    number.to_string_lossy().into_owned()
}

#[test]
fn one_worker_is_enough() {
    let folder = Folder::new();
    let path = folder.file("big", bytes(500_000));
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                spawn(async move {
                    let mut all = Vec::new();
                    let mut file = File::open(path).await.unwrap();
                    while let Some(bytes) = file.recv().await.unwrap() {
                        all.extend_from_slice(&bytes);
                        yield_now().await;
                    }
                    all
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap() == bytes(500_000));
        }
    });
}
