//! Peers of streams, without a runtime.

use std::io::Read;
use std::net::SocketAddr;
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
