//! A thousand hosts, a tenth of which do what they can to keep a crawl from ending.
//!
//! By default it is a hundred hosts; `HEIST_LONG` asks for all. Each host has an address of its own on loopback. The
//! negative controls: without `--max-pages-per-host` the calendars never end; with `--timeout-s 60` the slow ones last
//! too long; a client without a limit for what it unpacks takes more memory than is allowed here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{closed_port, page, program, records, response, text};

/// Pages of a good host.
const PAGES: usize = 8;

/// What a host that is not good is allowed.
const MOST_PAGES: usize = 30;

/// What a host is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Dead,
    Slow,
    Looping,
    Infinite,
    Lying,
}

/// One of ten is bad, in five ways.
fn kind(number: usize) -> Kind {
    match number % 50 {
        3 => Kind::Dead,
        13 => Kind::Slow,
        23 => Kind::Looping,
        33 => Kind::Infinite,
        43 => Kind::Lying,
        _ => Kind::Good,
    }
}

fn address(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 66, high, low)
}

/// One listener for all addresses: who was meant is the address that the connection came to.
fn serve() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let bomb: Arc<[u8]> = bomb().into();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (bomb, mut stream) = (Arc::clone(&bomb), stream.unwrap());
            thread::spawn(move || {
                let IpAddr::V4(address) = stream.local_addr().unwrap().ip() else {
                    unreachable!("it listens on IPv4 only");
                };
                let [_, _, high, low] = address.octets();
                let number = usize::from(u16::from_be_bytes([high, low]));
                if let Some(path) = path(&mut stream) {
                    // A client that has had enough closes the connection.
                    let _ = answer(&mut stream, kind(number), &path, &bomb);
                }
            });
        }
    });
    port
}

fn path(stream: &mut TcpStream) -> Option<String> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).ok()?;
    Some(head.split(' ').nth(1)?.to_owned())
}

fn answer(stream: &mut TcpStream, kind: Kind, path: &str, bomb: &[u8]) -> std::io::Result<()> {
    let number: usize = path
        .rsplit('/')
        .next()
        .and_then(|last| last.parse().ok())
        .unwrap_or(0);
    match kind {
        Kind::Good => {
            let links: Vec<_> = (1..PAGES).map(|page| format!("/{page}")).collect();
            let links: Vec<_> = links.iter().map(String::as_str).collect();
            stream.write_all(&page(&links))
        }
        Kind::Dead => unreachable!("nobody listens there"),
        Kind::Slow => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=/1>x</a>")?;
            // A byte now and then, for ever.
            loop {
                thread::sleep(Duration::from_millis(100));
                stream.write_all(b".")?;
            }
        }
        Kind::Looping => {
            // In a circle of three, and away without end.
            let target = if path.starts_with("/away") {
                format!("/away/{}", number + 1)
            } else {
                format!("/{}", (number + 1) % 3)
            };
            let body = "<a href=/away/0>x</a>";
            let headers = format!("Location: {target}\r\nContent-Type: text/html\r\n");
            let status = if path == "/" { "200 OK" } else { "302 Found" };
            let links = page(&["/1", "/away/0"]);
            match path {
                "/" => stream.write_all(&links),
                _ => stream.write_all(&response(status, &headers, body)),
            }
        }
        Kind::Infinite => {
            // A calendar: each day leads to the next ones.
            let days: Vec<_> = (1..40)
                .map(|day| format!("/calendar/day/{}", number + day))
                .collect();
            stream.write_all(&page(&days.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        Kind::Lying => {
            let html = "Content-Type: text/html\r\n";
            match number % 4 {
                0 => {
                    let links = "<a href=/1>x</a><a href=/2>x</a><a href=/3>x</a><a href=/5>x</a>";
                    // More than there is.
                    let head =
                        format!("HTTP/1.1 200 OK\r\n{html}Content-Length: 10000000\r\n\r\n{links}");
                    stream.write_all(head.as_bytes())
                }
                1 => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\n{html}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                        bomb.len()
                    );
                    stream.write_all(head.as_bytes())?;
                    stream.write_all(bomb)
                }
                2 => {
                    // A chunk of almost everything that there is.
                    let head = format!(
                        "HTTP/1.1 200 OK\r\n{html}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n"
                    );
                    stream.write_all(head.as_bytes())?;
                    loop {
                        stream.write_all(&[b'x'; 65536])?;
                    }
                }
                _ => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\n{html}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"
                    );
                    stream.write_all(head.as_bytes())
                }
            }
        }
    }
}

/// Some kilobytes that are half a gigabyte.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..512 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// The most memory that a process had, in bytes.
fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}

#[test]
fn a_thousand_hosts_of_which_a_tenth_do_harm() {
    let hosts = if std::env::var_os("HEIST_LONG").is_some() {
        1000
    } else {
        100
    };
    let port = serve();
    let dead = closed_port().port();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("pages");
    let urls = (0..hosts).map(|number| {
        let port = if kind(number) == Kind::Dead {
            dead
        } else {
            port
        };
        format!("http://{}:{port}/", address(number))
    });
    let begun = Instant::now();
    let mut child = program()
        .args(urls)
        .args([
            "--concurrency",
            "64",
            "--timeout-s",
            "1",
            "--error-budget",
            "3",
        ])
        .args([
            "--max-pages-per-host",
            &MOST_PAGES.to_string(),
            "--max-body",
            "4M",
        ])
        .args(["--workers", "2", "--summary-json", "-", "--output"])
        .arg(&output)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        memory = peak_memory(child.id()).map_or(memory, |now| now.max(memory));
        thread::sleep(Duration::from_millis(20));
        if begun.elapsed() > Duration::from_secs(180) {
            child.kill().unwrap();
            panic!("the crawl does not end");
        }
    }
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!(summary["end"], "finished");

    // By host: pages that went well, and all.
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for record in records(&fs::read(output).unwrap()) {
        let host = record.url.split(['/', ':']).nth(3).unwrap().to_owned();
        let count = counts.entry(host).or_default();
        count.0 += usize::from(record.error.is_none());
        count.1 += 1;
    }
    for number in 0..hosts {
        let (good, all) = counts[&address(number).to_string()];
        match kind(number) {
            Kind::Good => assert_eq!((good, all), (PAGES, PAGES), "host {number}"),
            Kind::Dead => assert_eq!((good, all), (0, 1), "host {number}"),
            // They fail, page for page, until they are given up.
            Kind::Slow | Kind::Lying => {
                assert!(good <= 1 && all <= 6, "host {number}: {good} of {all}")
            }
            Kind::Looping => assert!(all <= MOST_PAGES, "host {number}: {all}"),
            Kind::Infinite => assert_eq!((good, all), (MOST_PAGES, MOST_PAGES), "host {number}"),
        }
    }
    eprintln!(
        "{hosts} hosts, {} pages, {:.1} s, at most {} MiB",
        summary["pages"],
        begun.elapsed().as_secs_f64(),
        memory >> 20
    );
    assert!(memory < 128 << 20, "{} MiB", memory >> 20);
}
