//! Pipes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heist_net::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, copy};
use heist_net::unix::pipe::{self, OpenOptions, Receiver, Sender};
use heist_runtime::{Builder, spawn};
use heist_sync::time::{sleep, timeout};
use rustix::fs::{CWD, FileType, OFlags, fcntl_getfl, mknodat};

const SHORT: Duration = Duration::from_millis(5);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(future)
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8)) as u8).collect()
}

/// A slow reader holds the writer back, and nothing is lost. Control: `poll_write` that says it has written everything.
#[test]
fn a_full_pipe_holds_the_writer_back() {
    block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let counts = written.clone();
        let sends = spawn(async move {
            for part in bytes(1_000_000).chunks(1000) {
                sender.write_all(part).await.unwrap();
                counts.fetch_add(part.len(), Ordering::SeqCst);
            }
        });
        // As much as a pipe holds, and one write more.
        while written.load(Ordering::SeqCst) < 60_000 {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(20)).await;
        let ahead = written.load(Ordering::SeqCst);
        assert!(ahead < 70_000, "{ahead}");
        let mut all = Vec::new();
        receiver.read_to_end(&mut all).await.unwrap();
        assert!(all == bytes(1_000_000));
        sends.await.unwrap();
    });
}

/// What is read is returned by the same poll, so a future that is dropped has nothing to lose.
#[test]
fn a_dropped_read_leaves_what_there_is() {
    block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let sends = spawn(async move {
            for part in bytes(100_000).chunks(700) {
                sender.write_all(part).await.unwrap();
                sleep(Duration::from_micros(200)).await;
            }
        });
        let (mut all, mut dropped) = (Vec::new(), 0);
        loop {
            let mut some = [0; 900];
            match timeout(Duration::from_micros(150), receiver.read(&mut some)).await {
                Ok(Ok(0)) => break,
                Ok(count) => all.extend_from_slice(&some[..count.unwrap()]),
                Err(_elapsed) => dropped += 1,
            }
        }
        assert!(all == bytes(100_000) && dropped > 10, "{dropped}");
        sends.await.unwrap();
    });
}

#[test]
fn ends_are_seen_from_the_other_side() {
    block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        assert_eq!(sender.try_write(b"ab").unwrap(), 2);
        let parts = [b"cd", b"ef"].map(|part| IoSlice::new(part));
        assert_eq!(sender.try_write_vectored(&parts).unwrap(), 4);
        receiver.readable().await.unwrap();
        let mut three = [0; 3];
        assert_eq!(receiver.try_read(&mut three).unwrap(), 3);
        assert_eq!(receiver.fill_buf().await.unwrap(), b"def");
        assert_eq!(receiver.try_read(&mut three[..1]).unwrap(), 1);
        receiver.read_exact(&mut three[..2]).await.unwrap();
        assert_eq!(&three, b"efc");
        assert_eq!(
            receiver.try_read(&mut three).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        timeout(SHORT, receiver.readable()).await.unwrap_err();
        sender.shutdown().await.unwrap();
        sender.shutdown().await.unwrap();
        assert_eq!(
            sender.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        assert_eq!(
            sender.writable().await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        receiver.readable().await.unwrap();
        assert_eq!(receiver.read(&mut three).await.unwrap(), 0);

        let (mut sender, receiver) = pipe::pipe().unwrap();
        while sender.try_write(&[0; 4096]).is_ok() {}
        timeout(SHORT, sender.writable()).await.unwrap_err();
        let blocked = spawn(async move { sender.write_all(b"more").await });
        sleep(SHORT).await;
        drop(receiver);
        assert_eq!(
            blocked.await.unwrap().unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn descriptors_come_and_go() {
    block_on(async {
        let (sender, mut receiver) = pipe::pipe().unwrap();
        let mut std = File::from(sender.into_blocking_fd().unwrap());
        assert!(!fcntl_getfl(&std).unwrap().contains(OFlags::NONBLOCK));
        std.write_all(b"line\nrest").unwrap();
        let mut line = String::new();
        receiver.read_line(&mut line).await.unwrap();
        assert_eq!(line, "line\n");
        // What was read ahead would be lost.
        let error = receiver.into_blocking_fd().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        let again = Sender::from_file(std).unwrap();
        assert!(fcntl_getfl(&again).unwrap().contains(OFlags::NONBLOCK));
        let (read, write) = rustix::pipe::pipe().unwrap();
        let error = Sender::from_owned_fd(read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let socket = std::os::unix::net::UnixStream::pair().unwrap().0;
        let error = Receiver::from_owned_fd(socket.into()).unwrap_err();
        assert!(error.to_string().contains("no pipe"), "{error}");
        let sender = Sender::from_owned_fd(write).unwrap();
        assert!(
            fcntl_getfl(sender.as_fd())
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
        let fd: OwnedFd = sender.into_nonblocking_fd().unwrap();
        assert!(fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
    });
}

struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Self {
        let name = format!("heist-net-test-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
        Self(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn pipes_with_names() {
    let fifo = Fifo::new("fifo");
    block_on(async {
        let options = OpenOptions::new();
        let early = options.open_sender(&fifo.0).unwrap_err();
        assert_eq!(
            early.raw_os_error(),
            Some(rustix::io::Errno::NXIO.raw_os_error())
        );
        let mut receiver = options.open_receiver(&fifo.0).unwrap();
        let mut sender = options.open_sender(&fifo.0).unwrap();
        sender.write_all(b"named").await.unwrap();
        drop(sender);
        let mut text = String::new();
        receiver.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "named");
        // With both ends the last sender is never gone.
        let mut both = OpenOptions::new();
        let mut receiver = both.read_write(true).open_receiver(&fifo.0).unwrap();
        drop(OpenOptions::new().open_sender(&fifo.0).unwrap());
        timeout(SHORT, receiver.read(&mut [0])).await.unwrap_err();
        let error = options.open_receiver("/dev/null").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let mut any = OpenOptions::new();
        let mut null = any.unchecked(true).open_receiver("/dev/null").unwrap();
        assert_eq!(null.read(&mut [0]).await.unwrap(), 0);
    });
}

/// A cancelled task gives the pipe back as it was.
#[test]
fn a_cancelled_task_takes_nothing() {
    block_on(async {
        let (mut sender, receiver) = pipe::pipe().unwrap();
        let receiver = Arc::new(heist_sync::Mutex::new(receiver));
        for round in 0..10 {
            let here = receiver.clone();
            let task = spawn(async move {
                let mut some = [0; 100];
                here.lock().await.read_exact(&mut some).await
            });
            sleep(Duration::from_millis(1)).await;
            sender.write_all(&[round; 4]).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            task.cancel_and_join().await.unwrap_err();
        }
        drop(sender);
        let mut all = Vec::new();
        receiver.lock().await.read_to_end(&mut all).await.unwrap();
        let expected: Vec<u8> = (0..10).flat_map(|round| [round; 4]).collect();
        assert_eq!(all, expected);
    });
}

#[test]
fn a_thread_that_blocks_at_the_other_end() {
    block_on(async {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (mut sender, mut back) = pipe::pipe().unwrap();
        let mut copier = Receiver::from_owned_fd(read).unwrap();
        let thread = std::thread::spawn(move || {
            let mut write = File::from(write);
            write.write_all(&bytes(300_000)).unwrap();
        });
        let copies = spawn(async move { copy(&mut copier, &mut sender).await });
        let mut all = Vec::new();
        back.read_to_end(&mut all).await.unwrap();
        assert!(all == bytes(300_000));
        assert_eq!(copies.await.unwrap().unwrap(), 300_000);
        thread.join().unwrap();
        let (sender, receiver) = pipe::pipe().unwrap();
        drop(sender);
        let mut std = File::from(receiver.into_blocking_fd().unwrap());
        assert_eq!(std.read(&mut [0]).unwrap(), 0);
    });
}
