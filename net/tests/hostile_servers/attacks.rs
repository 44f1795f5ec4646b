//! What servers do, and what must come of it.

use std::io::{Read, Write};
use std::time::Duration;

use crate::server::Peer;

/// A server's behaviour on a connection, from the client's request on.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) script: fn(&mut Peer),
    pub(crate) expect: Expect,
    /// Bytes of the request's body.
    pub(crate) upload: usize,
    /// It does not wait for a request.
    pub(crate) before_the_request: bool,
}

/// How the exchange must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Body(&'static str),
    /// The bytes break the rules.
    Decode,
    /// A limit is exceeded.
    Limit,
    /// The server went away.
    Early,
    Timeout,
    Redirect,
}

use Expect::*;

const fn attack(name: &'static str, expect: Expect, script: fn(&mut Peer)) -> Attack {
    Attack {
        name,
        script,
        expect,
        upload: 0,
        before_the_request: false,
    }
}

const fn upload(name: &'static str, expect: Expect, script: fn(&mut Peer)) -> Attack {
    Attack {
        upload: 32 << 20,
        ..attack(name, expect, script)
    }
}

const fn unasked(name: &'static str, expect: Expect, script: fn(&mut Peer)) -> Attack {
    Attack {
        before_the_request: true,
        ..attack(name, expect, script)
    }
}

/// Sends these bytes and waits; what the client makes of them must not need the connection's end.
macro_rules! bytes {
    ($expect:expr, $bytes:expr) => {
        attack($bytes, $expect, |peer| peer.send($bytes))
    };
}

/// The same behind a head of a chunked body.
macro_rules! chunked {
    ($expect:expr, $bytes:expr) => {
        attack(concat!("chunked ", $bytes), $expect, |peer| {
            peer.send(concat!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                $bytes
            ))
        })
    };
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) const ATTACKS: &[Attack] = &[
    // Not HTTP at all.
    bytes!(Decode, "SSH-2.0-OpenSSH_9.6\r\n"),
    bytes!(Decode, "220 mail.example ESMTP\r\n"),
    bytes!(Decode, "<!DOCTYPE html>"),
    bytes!(Decode, "\r\n\r\n"),
    bytes!(Decode, "\0"),
    attack("TLS alert", Decode, |peer| {
        send(peer, b"\x15\x03\x01\0\x02\x02\x46");
    }),
    attack("TLS server hello", Decode, |peer| {
        send(peer, b"\x16\x03\x03\0\x5a\x02\0\0\x56\x03\x03");
    }),
    attack("HTTP/2 settings", Decode, |peer| {
        send(peer, b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64");
    }),
    bytes!(Decode, "HTTP/2 200\r\n\r\n"),
    bytes!(Decode, "HTTP/0.9 200 OK\r\n\r\n"),
    bytes!(Decode, "http/1.1 200 OK\r\n\r\n"),
    // Heads.
    bytes!(Decode, "HTTP/1.1 20 OK\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 2000 OK\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 099 OK\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1200 OK\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 O\0K\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\nBad : name\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\n folded: a\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\ncr: a\rb\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 200 OK\r\nnul: a\0b\r\n\r\n"),
    bytes!(Decode, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    // Framing.
    bytes!(Decode, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"
    ),
    bytes!(
        Decode,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    ),
    bytes!(
        Decode,
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    // Both framings: the one that wins gives the body, but the connection is spent.
    bytes!(
        Body("hello"),
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n"
    ),
    // Wrong lengths.
    bytes!(Timeout, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"),
    bytes!(
        Body("hell"),
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello"
    ),
    bytes!(
        Limit,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello"
    ),
    attack("a length that is missing when it closes", Early, |peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello");
        peer.end();
    }),
    bytes!(
        Body(""),
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"
    ),
    // Garbage behind the response, at once and later.
    bytes!(
        Body("hello"),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n\r\ngarbage"
    ),
    bytes!(
        Body("hello"),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
         HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    ),
    chunked!(Body("x"), "1\r\nx\r\n0\r\n\r\n0\r\n\r\n"),
    // Chunks.
    chunked!(Decode, "\r\n"),
    chunked!(Decode, "xyz\r\n"),
    chunked!(Decode, "-1\r\n"),
    chunked!(Decode, "0x1\r\nx\r\n"),
    chunked!(Decode, " 1\r\nx\r\n"),
    chunked!(Decode, "1 1\r\n"),
    chunked!(Decode, "1\nx\r\n"),
    chunked!(Decode, "1\r\nxy\r\n"),
    chunked!(Decode, "1\r\nx\n0\r\n\r\n"),
    chunked!(Decode, "1;a\nb\r\nx\r\n"),
    chunked!(Decode, "1;a\0b\r\nx\r\n"),
    chunked!(Decode, "10000000000000000\r\n"),
    chunked!(Decode, "00000000000000001\r\n"),
    chunked!(Decode, "0\r\nno colon\r\n\r\n"),
    chunked!(Decode, "0\r\nA : b\r\n\r\n"),
    chunked!(Decode, "0\r\nA: b\n\r\n"),
    chunked!(Decode, "0\r\n\rx"),
    // What never ends, as fast as the client takes it.
    attack("an endless status line", Limit, |peer| {
        for_ever(peer, b"HTTP/1.1 200 ", &[b'O'; 1000]);
    }),
    attack("an endless header", Limit, |peer| {
        for_ever(peer, b"HTTP/1.1 200 OK\r\nx: ", &[b'y'; 1000]);
    }),
    attack("endless headers", Limit, |peer| {
        for_ever(peer, b"HTTP/1.1 200 OK\r\n", b"a: b\r\n");
    }),
    attack("endless informational responses", Limit, |peer| {
        for_ever(peer, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n");
    }),
    attack("large informational responses", Limit, |peer| {
        let lines = format!("a: {}\r\n", "b".repeat(600)).repeat(90);
        let early = format!("HTTP/1.1 103 Early Hints\r\n{lines}\r\n");
        for_ever(peer, b"", early.as_bytes());
    }),
    attack("an endless body", Limit, |peer| {
        for_ever(peer, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 1000]);
    }),
    attack("an endless chunk", Limit, |peer| {
        let head = format!("{CHUNKED}ffffffffffffffff\r\n");
        for_ever(peer, head.as_bytes(), &[b'x'; 1000]);
    }),
    attack("endless chunks of one byte", Limit, |peer| {
        for_ever(peer, CHUNKED.as_bytes(), b"1\r\nx\r\n");
    }),
    attack("endless digits", Decode, |peer| {
        for_ever(peer, CHUNKED.as_bytes(), b"0");
    }),
    attack("an endless chunk extension", Limit, |peer| {
        for_ever(peer, format!("{CHUNKED}1;").as_bytes(), &[b'x'; 1000]);
    }),
    attack("extensions that add up", Limit, |peer| {
        for_ever(peer, CHUNKED.as_bytes(), b"1;0123456789\r\nx\r\n");
    }),
    attack("endless spaces behind a size", Limit, |peer| {
        for_ever(peer, format!("{CHUNKED}1").as_bytes(), b"          ");
    }),
    attack("an endless trailer", Limit, |peer| {
        for_ever(peer, format!("{CHUNKED}0\r\nA: ").as_bytes(), b"bbbbbbbbbb");
    }),
    attack("endless trailers", Limit, |peer| {
        for_ever(peer, format!("{CHUNKED}0\r\n").as_bytes(), b"a: b\r\n");
    }),
    attack("too many trailers", Limit, |peer| {
        peer.send(&format!("{CHUNKED}0\r\n{}\r\n", "a:\r\n".repeat(101)));
    }),
    // One byte at a time.
    attack("a dripping head", Timeout, |peer| {
        drip(peer, "HTTP/1.1 200 OK\r\nx: ", "y");
    }),
    attack("dripping informational responses", Timeout, |peer| {
        drip(peer, "", "HTTP/1.1 102 Processing\r\n\r\n");
    }),
    attack("a dripping body", Timeout, |peer| {
        drip(peer, "HTTP/1.1 200 OK\r\n\r\n", "x");
    }),
    attack("a dripping body with a length", Timeout, |peer| {
        drip(
            peer,
            "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n",
            "x",
        );
    }),
    attack("dripping chunks", Timeout, |peer| {
        drip(peer, CHUNKED, "1\r\nx\r\n")
    }),
    attack("a dripping chunk extension", Timeout, |peer| {
        drip(
            peer,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            "x",
        );
    }),
    attack("dripping trailers", Timeout, |peer| {
        drip(
            peer,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            "a: b\r\n",
        );
    }),
    // Silence.
    attack("no answer", Timeout, |_| {}),
    attack("no answer after 100", Timeout, |peer| {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    }),
    attack("no body", Timeout, |peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    }),
    chunked!(Timeout, "5\r\nhel"),
    chunked!(Timeout, "5\r\nhello\r\n"),
    chunked!(Timeout, "0\r\n"),
    // A request's body that nobody reads, or hardly.
    upload("it never reads", Timeout, |peer| {
        std::thread::sleep(Duration::from_millis(1000));
        let _ = peer;
    }),
    upload("it reads a byte at a time", Timeout, |peer| {
        for _ in 0..100 {
            if peer.stream.read(&mut [0]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }),
    upload("it answers and never reads", Body("no"), |peer| {
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        peer.end();
        std::thread::sleep(Duration::from_millis(100));
    }),
    upload("it resets while the body comes", Early, |peer| {
        peer.read(100_000);
        peer.reset();
        hang_up(peer);
    }),
    // It goes away.
    attack("an end at once", Early, Peer::end),
    attack("an end after 100", Early, |peer| {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        peer.end();
    }),
    unasked("an end before the request", Early, |peer| {
        peer.end();
        hang_up(peer);
    }),
    unasked("a reset before the request", Early, |peer| {
        peer.reset();
        hang_up(peer);
    }),
    attack("a reset after the request", Early, |peer| {
        reset_after(peer, "")
    }),
    attack("a reset after 100", Early, |peer| {
        reset_after(peer, "HTTP/1.1 100 Continue\r\n\r\n");
    }),
    attack("a reset within the head", Early, |peer| {
        reset_after(peer, "HTTP/1.1 200 OK\r\nConte");
    }),
    attack("a reset after the head", Early, |peer| {
        reset_after(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    }),
    attack("a reset within the body", Early, |peer| {
        reset_after(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    }),
    attack("a reset within a chunk", Early, |peer| {
        reset_after(peer, &format!("{CHUNKED}5\r\nhel"));
    }),
    attack("a reset within a size", Early, |peer| {
        reset_after(peer, &format!("{CHUNKED}5"));
    }),
    attack("a reset before the last chunk", Early, |peer| {
        reset_after(peer, &format!("{CHUNKED}5\r\nhello\r\n"));
    }),
    attack("a reset within the trailers", Early, |peer| {
        reset_after(peer, &format!("{CHUNKED}0\r\nA: b\r\n"));
    }),
    attack(
        "a reset instead of the end that is the body's end",
        Early,
        |peer| {
            reset_after(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
        },
    ),
    // Responses to nothing. Who takes one for the answer cannot know better; but only one, and only once.
    unasked("a response before the request", Body("early"), |peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    }),
    unasked("two responses before the request", Body("early"), |peer| {
        peer.send(&"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly".repeat(2));
    }),
    // Content codings.
    #[cfg(feature = "gzip")]
    attack("a gzip bomb", Limit, |peer| {
        coded(peer, "gzip", &gzip(&[0; 16 << 20]));
    }),
    #[cfg(feature = "gzip")]
    attack("a gzip bomb in a gzip bomb", Limit, |peer| {
        coded(peer, "gzip, gzip", &gzip(&gzip(&[0; 16 << 20])));
    }),
    #[cfg(feature = "gzip")]
    attack(
        "gzip on gzip on gzip on gzip on gzip on gzip",
        Limit,
        |peer| {
            coded(peer, "gzip, gzip, gzip, gzip, gzip, gzip", b"x");
        },
    ),
    #[cfg(feature = "gzip")]
    attack("gzip that is none", Decode, |peer| {
        coded(peer, "gzip", b"<!DOCTYPE html>");
    }),
    #[cfg(feature = "gzip")]
    attack("gzip that is cut off", Decode, |peer| {
        let whole = gzip(b"hello, world");
        coded(peer, "gzip", &whole[..whole.len() - 5]);
    }),
    #[cfg(feature = "gzip")]
    attack("gzip with a name that never ends", Limit, |peer| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\
            \x1f\x8b\x08\x08\0\0\0\0\0\x03";
        for_ever(peer, head, &[b'x'; 1000]);
    }),
    // Redirects.
    attack("a redirect to itself", Redirect, |peer| {
        redirect(peer, "/attack")
    }),
    attack("a redirect that grows", Limit, |peer| {
        // Twice as long each time: the tenth is longer than a head may be.
        let mut path = "/attack".repeat(20);
        loop {
            let response =
                format!("HTTP/1.1 302 x\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n");
            if peer.stream.write_all(response.as_bytes()).is_err() || peer.request().is_none() {
                return;
            }
            path = path.repeat(2);
        }
    }),
    attack("a redirect to nowhere", Redirect, |peer| {
        redirect(peer, "//[::")
    }),
    attack("a redirect out of HTTP", Redirect, |peer| {
        redirect(peer, "file:///etc/passwd")
    }),
    attack(
        "a redirect whose body never ends",
        Body("harmless"),
        |peer| {
            let head = b"HTTP/1.1 302 x\r\nLocation: /harmless \r\n\r\n";
            for_ever(peer, head, &[b'x'; 1000]);
        },
    ),
];

fn send(peer: &mut Peer, bytes: &[u8]) {
    let _ = peer.stream.write_all(bytes);
}

/// A response with a body in these content codings, which ends with the connection: what is wrong with a coding says
/// nothing about the framing, and would not keep the connection from being used again.
#[cfg(feature = "gzip")]
fn coded(peer: &mut Peer, codings: &str, body: &[u8]) {
    peer.send(&format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\n\r\n"
    ));
    send(peer, body);
    peer.end();
}

#[cfg(feature = "gzip")]
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Sends `front`, and then `rest` again and again until the client has had enough.
fn for_ever(peer: &mut Peer, front: &[u8], rest: &[u8]) {
    let block = rest.repeat(16 * 1024 / rest.len() + 1);
    send(peer, front);
    while peer.stream.write_all(&block).is_ok() {}
}

/// The same, a byte at a time.
fn drip(peer: &mut Peer, front: &str, rest: &str) {
    peer.send(front);
    for byte in rest.bytes().cycle() {
        if peer.stream.write_all(&[byte]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends this, and resets the connection when the client has had time to see it.
fn reset_after(peer: &mut Peer, text: &str) {
    peer.send(text);
    std::thread::sleep(Duration::from_millis(10));
    peer.reset();
    hang_up(peer);
}

/// Closes the connection now: all that is left to do happens on another one.
fn hang_up(peer: &mut Peer) {
    let nowhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // A socket that reads nothing takes the place of the connection, which is closed by that.
    let nowhere = std::os::fd::OwnedFd::from(nowhere);
    peer.stream = std::net::TcpStream::from(nowhere);
    let _ = peer.stream.set_read_timeout(Some(Duration::from_millis(1)));
}

fn redirect(peer: &mut Peer, location: &str) {
    let response = format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    loop {
        if peer.stream.write_all(response.as_bytes()).is_err() {
            return;
        }
        match peer.request() {
            Some(head) if head.contains(" /attack ") => {}
            Some(_) => return peer.send(&crate::server::ok("harmless")),
            None => return,
        }
    }
}
