//! Responses from a seed: valid ones, ones with a known fault, and ones with bytes changed at random.

use std::fmt;

use http::{HeaderMap, HeaderValue, Method};

/// What happens on one connection.
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request, and the bytes that answer it.
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) request_headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection is closed behind them.
    pub(crate) closes: bool,
    /// The body, if the response is valid and complete.
    pub(crate) meaning: Option<Vec<u8>>,
    cuts: u64,
}

impl Case {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + random.below(3);
        let mut exchanges: Vec<_> = (0..count).map(|_| exchange(&mut random)).collect();
        if random.one_in(2) {
            exchanges[count - 1].closes = true;
        }
        for exchange in &mut exchanges {
            // What ends with the connection has no meaning while it is open.
            if !exchange.closes && exchange.is_until_close() {
                exchange.meaning = None;
            }
        }
        Self { seed, exchanges }
    }
}

impl Exchange {
    /// The bytes in pieces, other ones for each reader.
    pub(crate) fn pieces(&self, reader: u64) -> impl Iterator<Item = &[u8]> {
        let mut random = Random::new(self.cuts ^ reader);
        let most = [1, 3, 20, 100, 10_000][random.below(5)];
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let length = rest.len().min(1 + random.below(most));
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        })
    }

    fn is_until_close(&self) -> bool {
        self.meaning.is_some() && self.bytes.starts_with(UNTIL_CLOSE)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for exchange in &self.exchanges {
            let (method, headers) = (&exchange.method, &exchange.request_headers);
            let closes = if exchange.closes { ", then closes" } else { "" };
            let bytes = exchange.bytes.escape_ascii();
            writeln!(f, "{method} {headers:?}: \"{bytes}\"{closes}")?;
        }
        Ok(())
    }
}

/// How valid responses say nothing about their length; a reason phrase tells them apart here.
const UNTIL_CLOSE: &[u8] = b"HTTP/1.1 200 until close\r\n";

fn exchange(random: &mut Random) -> Exchange {
    let method = match random.below(12) {
        0 => Method::HEAD,
        1 => Method::CONNECT,
        2 => Method::POST,
        _ => Method::GET,
    };
    let mut request_headers = HeaderMap::new();
    if random.one_in(30) {
        request_headers.insert("connection", HeaderValue::from_static("close"));
    }
    if random.one_in(20) {
        request_headers.insert("upgrade", HeaderValue::from_static("x"));
    }
    let mut bytes = Vec::new();
    if random.one_in(8) {
        informational(random, &mut bytes);
    }
    let mut meaning = None;
    match random.below(10) {
        0..=4 => {
            let body = valid(random, &method, &mut bytes);
            meaning = (method != Method::CONNECT).then_some(body);
        }
        5..=7 => doubtful(random, &mut bytes),
        _ => {
            bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            chunks(random, b"hello", 4, &mut bytes);
        }
    }
    if random.one_in(20) {
        bytes.extend_from_slice(random.pick(&[&b"x"[..], b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]));
        meaning = None;
    }
    if random.one_in(12) && !bytes.is_empty() {
        bytes.truncate(random.below(bytes.len()));
        meaning = None;
    }
    if random.one_in(6) && !bytes.is_empty() {
        mutate(random, &mut bytes);
        meaning = None;
    }
    let cuts = random.next();
    Exchange {
        method,
        request_headers,
        bytes,
        closes: false,
        meaning,
        cuts,
    }
}

fn informational(random: &mut Random, bytes: &mut Vec<u8>) {
    let count = if random.one_in(12) {
        17
    } else {
        1 + random.below(2)
    };
    for _ in 0..count {
        bytes.extend_from_slice(random.pick(&[
            &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
            b"HTTP/1.0 199\nContent-Length: 5\n\n",
            b"HTTP/1.1 102 x\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]));
    }
}

/// A response without a fault. Returns its body.
fn valid(random: &mut Random, method: &Method, bytes: &mut Vec<u8>) -> Vec<u8> {
    if bytes.len() > 400 {
        // 17 informational responses are one too many.
        bytes.clear();
    }
    let length = [0, 1, 5, 30, 300][random.below(5)];
    let body: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    match random.below(6) {
        0 if bytes.is_empty() => {
            bytes.extend_from_slice(UNTIL_CLOSE);
            header_lines(random, bytes);
            bytes.extend_from_slice(b"\r\n");
        }
        1 => {
            bytes.extend_from_slice(random.pick(&[
                &b"HTTP/1.1 204 No Content\r\n"[..],
                b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n",
            ]));
            header_lines(random, bytes);
            bytes.extend_from_slice(b"\r\n");
            return Vec::new();
        }
        2 | 3 => {
            bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n");
            header_lines(random, bytes);
            bytes.extend_from_slice(b"\r\n");
            if *method == Method::HEAD {
                return Vec::new();
            }
            chunks(random, &body, 0, bytes);
            return body;
        }
        _ => {
            bytes.extend_from_slice(
                format!("HTTP/1.1 404 Not Found\r\nContent-Length: {length}\r\n").as_bytes(),
            );
            header_lines(random, bytes);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    if *method == Method::HEAD {
        return Vec::new();
    }
    bytes.extend_from_slice(&body);
    body
}

fn header_lines(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        bytes.extend_from_slice(random.pick(&[
            &b"Server: x\r\n"[..],
            b"x-empty:\r\n",
            b"Set-Cookie: a=1\r\nset-cookie: b=2\r\n",
            b"X-Text: \xe4 \xff\r\n",
            b"x!#$%&'*+-.^_`|~1:  y  \r\n",
            b"Connection: keep-alive\r\n",
            b"Content-Type: text/html; charset=utf-8\r\n",
        ]));
    }
}

/// A response of parts that are each valid or not, and may contradict each other.
fn doubtful(random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(random.pick(&[
        &b"HTTP/1.1 200 OK"[..],
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 ",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 500",
        b"HTTP/1.1 999 \xe4",
        b"HTTP/1.1 099 x",
        b"HTTP/1.2 200 OK",
        b"\r\nHTTP/1.1 200 OK",
    ]));
    line_end(random, bytes);
    let mut is_chunked = false;
    for _ in 0..random.below(4) {
        let line = match random.below(6) {
            0 | 1 => random.pick(LENGTHS),
            2 => {
                is_chunked = true;
                random.pick(CODINGS)
            }
            3 => random.pick(CONNECTIONS),
            4 if random.one_in(4) => random.pick(BAD_LINES),
            _ => &b"X: y"[..],
        };
        bytes.extend_from_slice(line);
        line_end(random, bytes);
    }
    line_end(random, bytes);
    let body = &b"hello, world"[..random.below(13)];
    let rarity = [0, 10][random.below(2)];
    match is_chunked && !random.one_in(20) {
        true => chunks(random, body, rarity, bytes),
        false => bytes.extend_from_slice(body),
    }
}

const LENGTHS: &[&[u8]] = &[
    b"Content-Length: 5",
    b"Content-Length: 5",
    b"Content-Length: 12",
    b"Content-Length: 0",
    b"content-length:05",
    b"Content-Length: 5, 5",
    b"Content-Length: 5,6",
    b"Content-Length: 5,",
    b"Content-Length: +5",
    b"Content-Length: 5 5",
    b"Content-Length:",
    b"Content-Length: 18446744073709551615",
    b"Content-Length: 18446744073709551616",
];

const CODINGS: &[&[u8]] = &[
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:\tCHUNKED ",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: gzip,,chunked",
];

const CONNECTIONS: &[&[u8]] = &[
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: x, Close ,y",
    b"Connection: keep-alive, close",
    b"Connection: closed",
    b"Connection:",
];

const BAD_LINES: &[&[u8]] = &[
    b"Bad : name",
    b" folded: line",
    b"X: a\r\n folded",
    b"X: a\rb",
    b"X: a\0b",
    b"X: a\x7fb",
    b"no colon",
    b": no name",
    b"X\xe4: y",
    b"X: \t tab\tand space \t",
];

fn line_end(random: &mut Random, bytes: &mut Vec<u8>) {
    let end: &[u8] = if random.one_in(12) { b"\n" } else { b"\r\n" };
    bytes.extend_from_slice(end);
}

/// A chunked body; one in `rarity` of its parts is wrong, none for 0.
fn chunks(random: &mut Random, mut body: &[u8], rarity: usize, bytes: &mut Vec<u8>) {
    let is_wrong = |random: &mut Random| rarity > 0 && random.one_in(rarity);
    while !body.is_empty() {
        let (chunk, rest) = body.split_at(1 + random.below(body.len()));
        body = rest;
        let wrong = is_wrong(random);
        size_line(random, chunk.len(), wrong, bytes);
        bytes.extend_from_slice(chunk);
        match is_wrong(random) {
            true => bytes.extend_from_slice(random.pick(&[&b"\n"[..], b"\r", b"", b"x\r\n"])),
            false => bytes.extend_from_slice(b"\r\n"),
        }
    }
    let wrong = is_wrong(random);
    size_line(random, 0, wrong, bytes);
    if random.one_in(4) {
        bytes.extend_from_slice(random.pick(&[
            &b"Checksum: 1\r\n"[..],
            b"A:\r\na: \xe4\r\nContent-Length: 9\r\n",
        ]));
    }
    if is_wrong(random) {
        bytes.extend_from_slice(random.pick(&[
            &b"A : b\r\n"[..],
            b"A: b\n",
            b" A: b\r\n",
            b"A\r\n",
            b"A: b\rc\r\n",
            b"\n",
        ]));
    }
    bytes.extend_from_slice(b"\r\n");
}

fn size_line(random: &mut Random, size: usize, is_wrong: bool, bytes: &mut Vec<u8>) {
    if is_wrong {
        bytes.extend_from_slice(random.pick(&[
            &b"\r\n"[..],
            b"g\r\n",
            b" 1\r\n",
            b"1 1\r\n",
            b"00000000000000001\r\n",
            b"10000000000000000\r\n",
            b"ffffffffffffffff\r\n",
            b"1;a\nb\r\n",
            b"1;\0\r\n",
            b"1;a\x7f=b\r\n",
            b"1\n",
            b"1\r",
            b"-1\r\n",
            b"0x1\r\n",
        ]));
        return;
    }
    let digits = match random.below(6) {
        0 => format!("{size:016x}"),
        1 => format!("{size:X}"),
        2 => format!("0{size:x}"),
        _ => format!("{size:x}"),
    };
    bytes.extend_from_slice(digits.as_bytes());
    bytes.extend_from_slice(random.pick(&[
        &b""[..],
        b"",
        b"",
        b" ",
        b"\t;a",
        b";a=\"b;c\"",
        b";\xe4",
    ]));
    bytes.extend_from_slice(b"\r\n");
}

/// Changes, removes or adds a few bytes, mostly to ones that mean something.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const ALPHABET: &[u8] = b"0015aF;:, \t\r\n\r\n\0";
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len());
        let byte = match random.below(4) {
            0 => random.next() as u8,
            _ => ALPHABET[random.below(ALPHABET.len())],
        };
        match random.below(3) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
}

/// Splitmix: neighbouring seeds have nothing in common.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }
}
