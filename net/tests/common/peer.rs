//! Peers of streams, without a runtime.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::io::Read;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A peer of the standard library's on a thread of its own, that `serve` runs on.
pub(crate) fn peer<T: Send + 'static>(
    serve: impl FnOnce(std::net::TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        serve(stream)
    });
    (address, thread)
}

/// A peer that reads to the end, after a pause.
pub(crate) fn reader(pause: Duration) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    peer(move |mut stream| {
        std::thread::sleep(pause);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    })
}

/// The bytes from `start` on of a stream in which each differs from its neighbours.
pub(crate) fn pattern(start: usize, length: usize) -> Vec<u8> {
    (start..start + length).map(|i| (i % 251) as u8).collect()
}

/// A peer that reads to the end, and now and then nothing for a while.
pub(crate) fn halting_reader() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    peer(|mut stream| {
        let (mut all, mut part) = (Vec::new(), vec![0; 100_000]);
        loop {
            match stream.read(&mut part).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&part[..count]),
            }
            if all.len() % 5 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
    })
}

/// A peer that reads nothing before it is told to, and then to the end.
pub(crate) fn waiting_reader() -> (SocketAddr, JoinHandle<Vec<u8>>, Sender<()>) {
    let (start, started) = channel();
    let (address, thread) = peer(move |mut stream| {
        started.recv().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    (address, thread, start)
}
