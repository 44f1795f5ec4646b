//! Rules 5 and 7 to 9: chunks, the end of the stream, requests, and the size of the body.

use super::*;

// Rule 5: chunks.

fn chunked(text: &str) -> Result<Outcome, Error> {
    get(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}"
    ))
}

#[test]
fn rule_5_sizes() {
    assert_eq!(
        chunked("000000000000000a\r\n0123456789\r\n0\r\n\r\n")
            .unwrap()
            .body
            .len(),
        10
    );
    assert_eq!(
        chunked("A\r\n0123456789\r\n000\r\n\r\n")
            .unwrap()
            .body
            .len(),
        10
    );
    for bad in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "00000000000000001\r\nx",
    ] {
        assert_eq!(chunked(bad), Err(Error::InvalidChunkSize), "{bad:?}");
    }
    // The largest size there is does not overflow into a small one.
    assert_eq!(
        chunked("ffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        Err(Error::ClosedInChunked)
    );
}

#[test]
fn rule_5_exact_crlf() {
    for bad in [
        "1\r\nxy\r\n0\r\n\r\n",
        "1\r\nx\ry",
        "1\r\nxy\n0\r\n\r\n",
        "1\r\nx0\r\n",
        "1\rx",
        "1\r\r\nx",
    ] {
        assert_eq!(chunked(bad), Err(Error::InvalidChunkEnd), "{bad:?}");
    }
    assert_eq!(chunked("0\r\n\rx"), Err(Error::InvalidTrailers));
}

#[test]
fn rule_5_extensions() {
    for good in [
        "1;a\r\n",
        "1;a=\"b;c\"\r\n",
        "1 ;a\r\n",
        "1  \r\n",
        "1;a=\tb\r\n",
        "1;\u{e4}\r\n",
    ] {
        assert_eq!(
            chunked(&format!("{good}x\r\n0;z\r\n\r\n")).unwrap().body,
            b"x",
            "{good:?}"
        );
    }
    for bad in ["1;a\nb\r\n", "1;\0\r\n", "1;a=\"\n\"\r\n"] {
        assert_eq!(chunked(bad), Err(Error::InvalidChunkExtension), "{bad:?}");
    }
    assert_eq!(chunked("1;a\rb"), Err(Error::InvalidChunkEnd));
    assert_eq!(chunked("1 1\r\n"), Err(Error::InvalidChunkSize));
}

#[test]
fn rule_5_trailers_are_no_headers() {
    let mut connection = Connection::new(Limits::default());
    send(&mut connection, &Method::GET, &[]).unwrap();
    let input = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        0\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (used, event) = connection.receive(input).unwrap();
    let Event::Head(head) = event else {
        panic!("the head comes first");
    };
    let (_, event) = connection.receive(&input[used..]).unwrap();
    assert!(matches!(event, Event::Trailers(trailers) if trailers.len() == 2));
    assert_eq!(head.get("set-cookie"), None);
    assert_eq!(head.header_map().len(), 1);
}

#[test]
fn rule_5_extensions_are_capped_over_the_whole_body() {
    let limits = Limits {
        chunk_extensions: 10,
        ..Limits::default()
    };
    let run = |text: &str| {
        let input = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}");
        exchange_with(&Method::GET, &[], limits, input.as_bytes())
    };
    assert!(run("1;abcd\r\nx\r\n0;abcd\r\n\r\n").is_ok());
    let error = Err(Error::ChunkExtensionsTooLarge { limit: 10 });
    assert_eq!(run("1;abcd\r\nx\r\n0;abcde\r\n\r\n"), error);
    assert_eq!(run("1           "), error);
}

#[test]
fn rule_5_trailers_are_apart_checked_and_capped() {
    let outcome = chunked("1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\n\r\n").unwrap();
    let trailers = outcome.trailers.unwrap();
    assert!(trailers["a"] == "b" && trailers["content-length"] == "5");
    assert!(outcome.reusable, "a trailer does not change the framing");
    for bad in [
        "A b\r\n\r\n",
        "A : b\r\n\r\n",
        "A: b\n\r\n",
        "A: b\rc\r\n\r\n",
        " a: b\r\n\r\n",
    ] {
        assert_eq!(
            chunked(&format!("0\r\n{bad}")),
            Err(Error::InvalidTrailers),
            "{bad:?}"
        );
    }
    let long = format!("0\r\nA: {}\r\n\r\n", "b".repeat(20_000));
    assert_eq!(
        chunked(&long),
        Err(Error::TrailersTooLarge { limit: 16 * 1024 })
    );
    let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(chunked(&many), Err(Error::TooManyHeaders { limit: 100 }));
}

// Rule 7: early end and excess.

#[test]
fn rule_7_an_early_end_is_an_error() {
    assert_eq!(get(""), Err(Error::ClosedBeforeResponse));
    assert_eq!(get("HTTP/1.1 2"), Err(Error::ClosedInHead));
    assert_eq!(
        ok("Content-Length: 5\r\n", "abc"),
        Err(Error::ClosedInBody { missing: 2 })
    );
    for cut in [
        "",
        "3",
        "3\r\n",
        "3\r\nab",
        "3\r\nabc",
        "3\r\nabc\r\n",
        "0",
        "0\r\n",
        "0\r\n\r",
    ] {
        assert_eq!(chunked(cut), Err(Error::ClosedInChunked), "{cut:?}");
    }
    assert_eq!(chunked("0\r\nA: b\r\n"), Err(Error::ClosedInChunked));
}

#[test]
fn rule_7_excess_bytes_and_until_close_are_not_pooled() {
    assert_eq!(
        ok("Content-Length: 1\r\n", "xHTTP/1.1 200"),
        whole("x", false)
    );
    assert_eq!(
        ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\n\r\n"),
        whole("", false)
    );
    assert_eq!(ok("", "x"), whole("x", false));
    let mut connection = Connection::new(Limits::default());
    send(&mut connection, &Method::GET, &[]).unwrap();
    connection.receive(b"HTTP/1.1 204 OK\r\n\r\n").unwrap();
    connection.receive(b"").unwrap();
    assert!(connection.can_reuse());
    connection.receive(b"late").unwrap();
    assert!(!connection.can_reuse());
    assert_eq!(
        send(&mut connection, &Method::GET, &[]),
        Err(Error::NotReady)
    );
}

#[test]
fn rule_7_bytes_without_a_request_fail() {
    let mut connection = Connection::new(Limits::default());
    assert!(connection.can_reuse());
    assert!(matches!(connection.receive(b"H"), Err(Error::Unsolicited)));
    assert!(matches!(connection.receive(b"H"), Err(Error::Failed)));
    assert!(!connection.can_reuse());
}

#[test]
fn rule_7_keep_alive_tokens_and_versions() {
    let run = |line: &str, lines: &str| {
        get(&format!("{line}\r\nContent-Length: 1\r\n{lines}\r\nx"))
            .unwrap()
            .reusable
    };
    assert!(run("HTTP/1.1 200 OK", ""));
    assert!(run("HTTP/1.1 200 OK", "Connection: keep-alive\r\n"));
    assert!(!run("HTTP/1.1 200 OK", "Connection: close\r\n"));
    assert!(!run("HTTP/1.1 200 OK", "connection: X, CLOSE ,y\r\n"));
    assert!(!run(
        "HTTP/1.1 200 OK",
        "Connection: keep-alive\r\nConnection: close\r\n"
    ));
    assert!(!run("HTTP/1.0 200 OK", ""));
    assert!(run("HTTP/1.0 200 OK", "Connection: Keep-Alive\r\n"));
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let close = [("connection", "close")];
    let ours = exchange_with(&Method::GET, &close, Limits::default(), input);
    assert!(!ours.unwrap().reusable);
}

// Rule 8: requests.

#[test]
fn rule_8_requests_cannot_be_split() {
    let none = HeaderMap::new();
    let good = RequestHead {
        method: &Method::GET,
        target: "/",
        host: "h",
        port: None,
        headers: &none,
        defaults: &none,
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    let encode = |request: &RequestHead<'_>| {
        let mut out = b"before".to_vec();
        let result = Connection::new(Limits::default()).encode_request(request, &mut out);
        assert!(
            result.is_ok() || out == b"before",
            "a refused request left bytes behind"
        );
        result
    };
    assert_eq!(encode(&good), Ok(()));
    for target in [
        "/a b",
        "/\r\nx: y",
        "/\n",
        "/\0",
        "/#f",
        "/\u{e4}",
        "\t",
        "/\x7f",
    ] {
        assert_eq!(
            encode(&RequestHead { target, ..good }),
            Err(Error::InvalidTarget)
        );
    }
    for host in [
        "",
        "a b",
        "a\r\nx: y",
        "a\n",
        "a\0",
        "user@a",
        "a/b",
        "a?b",
        "\u{e4}",
    ] {
        assert_eq!(
            encode(&RequestHead { host, ..good }),
            Err(Error::InvalidHost),
            "{host:?}"
        );
    }
    for name in ["content-length", "transfer-encoding"] {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static("5"));
        assert_eq!(
            encode(&RequestHead {
                headers: &headers,
                ..good
            }),
            Err(Error::FramingHeader)
        );
        assert_eq!(
            encode(&RequestHead {
                defaults: &headers,
                ..good
            }),
            Err(Error::FramingHeader)
        );
    }
    for host in ["", "a b", "a@b"] {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static(host));
        assert_eq!(
            encode(&RequestHead {
                headers: &headers,
                ..good
            }),
            Err(Error::InvalidHost)
        );
    }
    let mut headers = HeaderMap::new();
    headers.append("host", HeaderValue::from_static("a"));
    headers.append("host", HeaderValue::from_static("b"));
    assert_eq!(
        encode(&RequestHead {
            headers: &headers,
            ..good
        }),
        Err(Error::InvalidHost)
    );
    // The types of `http` refuse these before the codec could.
    assert!(HeaderValue::from_bytes(b"a\r\nx: y").is_err());
    assert!(HeaderValue::from_bytes(b"a\0").is_err());
}

#[test]
fn rule_8_the_codec_tells_when_a_repetition_is_safe() {
    let mut connection = Connection::new(Limits::default());
    send(&mut connection, &Method::GET, &[]).unwrap();
    assert!(!connection.has_response_started());
    connection.receive(b"").unwrap();
    assert!(!connection.has_response_started());
    connection.receive(b"H").unwrap();
    assert!(connection.has_response_started());
    assert_eq!(
        send(&mut connection, &Method::GET, &[]),
        Err(Error::NotReady)
    );
}

// Rule 9: the size of the body.

#[test]
fn rule_9_the_body_is_capped() {
    let limits = Limits {
        body: 3,
        ..Limits::default()
    };
    let run = |text: &str| {
        let input = format!("HTTP/1.1 200 OK\r\n{text}");
        exchange_with(&Method::GET, &[], limits, input.as_bytes())
    };
    let error = Err(Error::BodyTooLarge { limit: 3 });
    assert!(run("Content-Length: 3\r\n\r\nabc").is_ok());
    assert_eq!(
        run("Content-Length: 4\r\n\r\n"),
        error,
        "it fails at the head"
    );
    assert!(run("\r\nabc").is_ok());
    assert_eq!(run("\r\nabcd"), error);
    assert!(run("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n").is_ok());
    assert_eq!(
        run("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n"),
        error
    );
    // Nobody reads the body of a response to HEAD, so its announced length does not matter.
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    assert!(exchange_with(&Method::HEAD, &[], limits, input).is_ok());
}
