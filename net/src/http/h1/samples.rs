//! Responses of every framing, good and bad, for tests of how they are cut.

/// One response to a GET.
pub(super) struct Sample {
    pub(super) bytes: &'static str,
    pub(super) end: End,
}

/// How a sample ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It says itself where it ends, and the connection can be used again.
    Reusable,
    /// It says itself where it ends, but the connection must not be used again.
    Complete,
    /// It ends where the server closes the connection.
    AtClose,
    /// It breaks the rules.
    Bad,
    /// It is cut short: an error, but only at the end of the stream.
    Cut,
}

const fn sample(end: End, bytes: &'static str) -> Sample {
    Sample { bytes, end }
}

use End::*;

pub(super) const SAMPLES: &[Sample] = &[
    // Content-Length.
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    ),
    sample(Reusable, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    sample(
        Reusable,
        "HTTP/1.1 200 OK\ncontent-LENGTH:5\nx:  y \n\nhello",
    ),
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 02\r\n\r\nok",
    ),
    sample(
        Reusable,
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ),
    sample(Complete, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    sample(
        Complete,
        "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok",
    ),
    sample(
        Complete,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokexcess",
    ),
    sample(
        Complete,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    sample(
        Cut,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nendless",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nx",
    ),
    sample(Bad, "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"),
    sample(Bad, "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    sample(Bad, "HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\nok"),
    // Statuses without a body.
    sample(Reusable, "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"),
    sample(
        Reusable,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"x\"\r\n\r\n",
    ),
    sample(
        Complete,
        "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
    ),
    // Informational responses.
    sample(
        Reusable,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\nLink: a\n\n\
         HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno!",
    ),
    sample(
        Reusable,
        "HTTP/1.0 102 x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    sample(Cut, "HTTP/1.1 100 Continue\r\n\r\n"),
    sample(Bad, "HTTP/1.1 101 Switching Protocols\r\n\r\nws"),
    sample(Bad, "HTTP/1.1 100 Continue\r\n\r\nexcess"),
    // Chunked.
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\nA;ext=\"x\"\r\n0123456789\r\n0\r\n\r\n",
    ),
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         1 \r\nx\r\n00;last\r\nChecksum: 1\r\nOther: 2\r\n\r\n",
    ),
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    ),
    sample(
        Reusable,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\nTransfer-Encoding:chunked\r\n\r\n\
         0000000000000002\r\n\r\n\r\n0\r\nA:\r\n\r\n",
    ),
    sample(
        Complete,
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    sample(
        Complete,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n0\r\n\r\n",
    ),
    sample(
        Cut,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nendless",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nx",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,\r\n\r\n0\r\n\r\n",
    ),
    sample(
        Bad,
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    // Until the connection closes.
    sample(
        AtClose,
        "HTTP/1.0 200 OK\nServer: old\n\nuntil the connection closes",
    ),
    sample(
        AtClose,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nopaque",
    ),
    sample(
        AtClose,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    ),
    sample(AtClose, "HTTP/1.1 404 \r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    sample(AtClose, "HTTP/1.1 299 \u{e4}\r\n\r\n"),
    // Heads that break the rules.
    sample(Bad, "HTTP/1.1 200 OK\r\nBad : name\r\n\r\nbody"),
    sample(Bad, "HTTP/1.1 200 OK\r\nfold: a\r\n b\r\n\r\nbody"),
    sample(Bad, "HTTP/1.1 200 OK\r\ncr: a\rb\r\n\r\nbody"),
    sample(Bad, "HTTP/1.1 200 OK\r\nnul: \0\r\n\r\nbody"),
    sample(Bad, "HTTP/1.1 200 OK\r\nno colon\r\n\r\nbody"),
    sample(Bad, "HTTP/1.1 99 OK\r\n\r\n"),
    sample(Bad, "HTTP/1.1 200 O\rK\r\n\r\n"),
    sample(Bad, "HTTP/2 200\r\n\r\n"),
    sample(Bad, "\r\nHTTP/1.1 200 OK\r\n\r\n"),
    sample(Bad, "ICY 200 OK\r\n\r\n"),
    sample(Bad, "\x15\x03\x03\0\x02\x02\x28"),
];
