//! The HTTP server when the process has no descriptors left. A program of its own, since that limit is the process's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::fs::File;
use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use heist_net::TcpListener;
use heist_net::hyper::{Incoming, serve};
use heist_runtime::Builder;
use http::{Request, Response};
use hyper::service::service_fn;
use socket2::{Domain, Socket, Type};

/// The limit: what is open, and a few.
fn limit_descriptors() -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() + 16;
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={}", std::process::id()));
    prlimit.arg(format!("--nofile={open}:"));
    prlimit.status().is_ok_and(|status| status.success())
}

fn get(stream: &mut TcpStream) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(request).unwrap();
    let (mut answer, mut bytes) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"here") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return false,
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
        }
    }
    answer.starts_with(b"HTTP/1.1 200 OK")
}

/// The processor time of this process, of its open `/proc/self/stat`.
fn processor_time(stat: &File) -> Duration {
    let mut text = [0; 1024];
    let count = stat.read_at(&mut text, 0).unwrap();
    let text = String::from_utf8_lossy(&text[..count]).into_owned();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(12) + ticks(13)))
}

/// It does not spin, serves those it has, and accepts again as soon as there are descriptors. Control, tried: end at
/// the error. That the server pauses is not seen here, as the listener does so, too; `errors_of_accepting` sees it.
#[test]
fn descriptors_run_out() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let service = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new("here".to_owned()))
    });
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    // Before the first accept: what the ring has been given keeps the limit that there was.
    if !limit_descriptors() {
        eprintln!("skipped: prlimit is not installed, or may not lower the limit");
        return;
    }
    let server = serve(listener, service);
    let metrics = server.metrics();
    let server = runtime.spawn(server.into_future());
    let mut old = TcpStream::connect(address).unwrap();
    assert!(get(&mut old));
    // The clients need some, too, and must have them before.
    let socket = |_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let waiting: Vec<_> = (0..3).map(socket).collect();
    let stat = File::open("/proc/self/stat").unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    for socket in &waiting {
        socket.connect(&address.into()).unwrap();
    }
    let before = processor_time(&stat);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert!(get(&mut old), "the connection that there is");
        std::thread::sleep(Duration::from_millis(50));
    }
    let spent = processor_time(&stat) - before;
    let failed = metrics.snapshot().accept_errors;
    assert!(spent < Duration::from_millis(500), "it spins: {spent:?}");
    assert!((1..40).contains(&failed), "{failed} errors in a second");
    assert_eq!(metrics.snapshot().open, 1);
    drop(hoard);
    let freed = Instant::now();
    for socket in waiting {
        assert!(get(&mut socket.into()));
    }
    assert!(
        freed.elapsed() < Duration::from_secs(1),
        "{:?}",
        freed.elapsed()
    );
    server.cancel();
    let _ = runtime.shutdown(Duration::from_secs(5));
}
