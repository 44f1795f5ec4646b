//! Rules 1 to 4 and 6: the head, and what it says about the body.

use super::*;

// Rule 1: where the body ends, in order of precedence.

#[test]
fn rule_1_head_204_and_304_have_no_body() {
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let outcome = exchange(&Method::HEAD, input).unwrap();
    assert!(outcome.body.is_empty() && outcome.reusable);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(exchange(&Method::HEAD, chunked).unwrap().reusable);
    assert!(
        get("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")
            .unwrap()
            .reusable
    );
    assert!(get("HTTP/1.1 204 No Content\r\n\r\n").unwrap().reusable);
    // The same length with GET and 200 would be a truncated body.
    assert_eq!(
        exchange(&Method::GET, input),
        Err(Error::ClosedInBody { missing: 9 })
    );
}

#[test]
fn rule_1_a_204_that_announces_a_body_is_not_reused() {
    assert!(
        !get("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n")
            .unwrap()
            .reusable
    );
    assert!(
        !get("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap()
            .reusable
    );
    assert!(
        get("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n")
            .unwrap()
            .reusable
    );
}

#[test]
fn rule_1_success_to_connect_is_a_tunnel() {
    let mut connection = Connection::new(Limits::default());
    send(&mut connection, &Method::CONNECT, &[]).unwrap();
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nTLS";
    let (used, event) = connection.receive(input).unwrap();
    assert!(matches!(event, Event::Head(_)));
    let (none, event) = connection.receive(&input[used..]).unwrap();
    assert!(matches!((none, event), (0, Event::End)));
    assert!(connection.is_tunnel() && !connection.can_reuse());
    // A 204 is a success like any other, although it is also a status without a body.
    let mut connection = Connection::new(Limits::default());
    send(&mut connection, &Method::CONNECT, &[]).unwrap();
    connection.receive(b"HTTP/1.1 204 No\r\n\r\n").unwrap();
    connection.receive(b"").unwrap();
    assert!(connection.is_tunnel() && !connection.can_reuse());
    // A refusal is an ordinary response.
    let refused = exchange(
        &Method::CONNECT,
        b"HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx",
    );
    let refused = refused.unwrap();
    assert!(refused.body == b"x" && refused.reusable);
}

#[test]
fn rule_1_an_informational_response_has_no_body() {
    // Were its length believed, the final response would be its body.
    for early in [
        "Content-Length: 99",
        "Transfer-Encoding: chunked",
        "Content-Length: x",
    ] {
        let input = format!("HTTP/1.1 102 Wait\r\n{early}\r\n\r\n{OK_X}");
        let outcome = get(&input).unwrap();
        assert!(outcome.status == 200 && outcome.body == b"x" && outcome.reusable);
    }
}

#[test]
fn rule_1_doubtful_framing_without_a_body_is_not_reused() {
    // There is no body to misread here, but a server that is wrong about it may still send one.
    for lines in [
        "Content-Length: 1, 2",
        "Content-Length: x",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        let outcome = exchange(&Method::HEAD, head.as_bytes()).unwrap();
        assert!(outcome.body.is_empty() && !outcome.reusable, "{lines}");
        let unchanged = format!("HTTP/1.1 304 Not Modified\r\n{lines}\r\n\r\n");
        let outcome = get(&unchanged).unwrap();
        assert!(outcome.body.is_empty() && !outcome.reusable, "{lines}");
    }
    let old = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(!exchange(&Method::HEAD, old).unwrap().reusable);
}

#[test]
fn rule_1_coding_then_length_then_close() {
    let both = "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(ok(both, "2\r\nab\r\n0\r\n\r\n"), whole("ab", false));
    assert_eq!(ok("Content-Length: 2\r\n", "ab"), whole("ab", true));
    assert_eq!(ok("Content-Length: 0\r\n", ""), whole("", true));
    assert_eq!(ok("", "until close"), whole("until close", false));
    assert_eq!(ok("", ""), whole("", false));
}

// Rule 2: Transfer-Encoding.

#[test]
fn rule_2_chunked_beats_length_but_is_not_pooled() {
    let order_1 = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let order_2 = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    for lines in [order_1, order_2] {
        assert_eq!(ok(lines, "1\r\nx\r\n0\r\n\r\n"), whole("x", false));
    }
    assert_eq!(
        ok("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n"),
        whole("x", true)
    );
    assert_eq!(
        ok("transfer-ENCODING:  Chunked \r\n", "0\r\n\r\n"),
        whole("", true)
    );
}

#[test]
fn rule_2_not_finally_chunked_is_until_close() {
    for coding in ["gzip", "chunked, gzip", "identity"] {
        let lines = format!("Transfer-Encoding: {coding}\r\nContent-Length: 1\r\n");
        assert_eq!(ok(&lines, "5\r\nrest"), whole("5\r\nrest", false));
    }
    let lines = "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n";
    assert_eq!(ok(lines, "5\r\nrest"), whole("5\r\nrest", false));
}

#[test]
fn rule_2_all_lines_count() {
    let lines = "Transfer-Encoding: gzip\r\nX: y\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(ok(lines, "1\r\nx\r\n0\r\n\r\n"), whole("x", true));
    for lines in [
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip, chunked\r\n",
    ] {
        assert_eq!(ok(lines, "0\r\n\r\n"), Err(Error::RepeatedChunked));
    }
}

#[test]
fn rule_2_malformed_codings_and_http_1_0() {
    for coding in [
        "",
        ",",
        "chunked,",
        "chun ked",
        "\"chunked\"",
        "chunked;x=1",
        "\x0bchunked",
    ] {
        let result = ok(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n");
        let error = result.expect_err(coding);
        assert!(
            matches!(
                error,
                Error::InvalidTransferEncoding | Error::InvalidResponseValue
            ),
            "{coding:?} gave {error:?}"
        );
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(get(old), Err(Error::TransferEncodingInHttp10));
}

// Rule 3: Content-Length.

#[test]
fn rule_3_digits_only_and_no_overflow() {
    for bad in [
        "",
        "+1",
        "-1",
        "1 1",
        "0x1",
        "1.0",
        "1e3",
        "one",
        ",",
        "1,",
        "18446744073709551616",
        "99999999999999999999999",
        "1;2",
    ] {
        let error = ok(&format!("Content-Length: {bad}\r\n"), "x");
        assert_eq!(error, Err(Error::InvalidContentLength), "{bad:?}");
    }
    let error = ok("Content-Length: 18446744073709551615\r\n", "x");
    assert_eq!(
        error,
        Err(Error::ClosedInBody {
            missing: u64::MAX - 1
        })
    );
    assert_eq!(ok("Content-Length: \t0001 \r\n", "x"), whole("x", true));
}

#[test]
fn rule_3_repetitions_must_agree() {
    assert_eq!(ok("Content-Length: 1, 1\r\n", "x"), whole("x", true));
    assert_eq!(
        ok("Content-Length: 1\r\nContent-Length: 01\r\n", "x"),
        whole("x", true)
    );
    for lines in [
        "Content-Length: 1, 2\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\nContent-Length: 2\r\n",
    ] {
        assert_eq!(ok(lines, "x"), Err(Error::ConflictingContentLength));
    }
}

// Rule 4: the lines of the head.

#[test]
fn rule_4_folds_spaces_bare_cr_and_nul_are_refused() {
    for (lines, error) in [
        ("A: b\r\n c\r\n", Error::InvalidHeaderName),
        ("A: b\r\n\tc\r\n", Error::InvalidHeaderName),
        ("A : b\r\n", Error::InvalidHeaderName),
        ("A\t: b\r\n", Error::InvalidHeaderName),
        (": b\r\n", Error::InvalidHeaderName),
        ("A\r\n", Error::InvalidHeaderName),
        ("A\0: b\r\n", Error::InvalidHeaderName),
        ("A: b\0c\r\n", Error::InvalidResponseValue),
        ("A: b\x7fc\r\n", Error::InvalidResponseValue),
        ("A: b\rc\r\n", Error::InvalidResponseValue),
        ("A: b\r\r\n", Error::InvalidResponseValue),
        // A fold of nothing, one right behind the status line, and one behind a bare LF.
        (" A: b\r\n", Error::InvalidHeaderName),
        ("A: b\r\n \r\n", Error::InvalidHeaderName),
        ("A: b\n c\n", Error::InvalidHeaderName),
        ("A\r: b\r\n", Error::InvalidHeaderName),
        ("A b\r\n", Error::InvalidHeaderName),
        ("\u{e4}: b\r\n", Error::InvalidHeaderName),
    ] {
        assert_eq!(ok(lines, ""), Err(error), "{lines:?}");
        // And however the network cuts it.
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let mut connection = Connection::new(Limits::default());
        send(&mut connection, &Method::GET, &[]).unwrap();
        let refused = head.bytes().find_map(|b| connection.receive(&[b]).err());
        assert_eq!(refused, Some(error), "{lines:?} in single bytes");
    }
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1  200",
        "HTTP/1.2 200 x",
    ] {
        assert!(get(&format!("{line}\r\n\r\n")).is_err(), "{line}");
    }
    assert!(get("HTTP/1.1 200 a\rb\r\n\r\n").is_err());
    assert!(get("HTTP/1.1 200 a\0b\r\n\r\n").is_err());
}

#[test]
fn rule_4_bare_lf_is_tolerated_in_head_lines_only() {
    let outcome = get("HTTP/1.1 200 OK\nContent-Length: 1\n\nx").unwrap();
    assert!(outcome.body == b"x" && outcome.reusable);
    let mixed = get("HTTP/1.1 200 OK\nContent-Length: 1\r\n\nx").unwrap();
    assert_eq!(mixed.body, b"x");
    for bad in [
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r\n0\n\r\n",
        "0\r\n\n",
    ] {
        let error = ok("Transfer-Encoding: chunked\r\n", bad).expect_err(bad);
        assert!(matches!(
            error,
            Error::InvalidChunkEnd | Error::InvalidTrailers
        ));
    }
}

// Rule 6: limits of the head.

#[test]
fn rule_6_head_size_is_exact() {
    let limits = Limits {
        head: 60,
        ..Limits::default()
    };
    let head = |length: usize| {
        let front = "HTTP/1.1 204 OK\r\nX: ";
        format!("{front}{}\r\n\r\n", "y".repeat(length - front.len() - 4))
    };
    let run = |length| exchange_with(&Method::GET, &[], limits, head(length).as_bytes());
    assert!(run(60).is_ok());
    assert_eq!(run(61), Err(Error::HeadTooLarge { limit: 60 }));
    assert_eq!(run(6100), Err(Error::HeadTooLarge { limit: 60 }));
    // An endless head fails as soon as the limit is reached, and holds no more than that.
    let mut connection = Connection::new(limits);
    send(&mut connection, &Method::GET, &[]).unwrap();
    connection.receive(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
    let mut fed = 20;
    while connection.receive(b"y").is_ok() {
        fed += 1;
        assert!(fed < 60, "the limit did not hold");
    }
    assert_eq!(fed, 59, "the 60th byte leaves no room for an end");
}

#[test]
fn rule_6_header_count_is_exact() {
    let head = |count| format!("HTTP/1.1 204 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(get(&head(100)).is_ok());
    assert_eq!(get(&head(101)), Err(Error::TooManyHeaders { limit: 100 }));
    for limit in [3, 300] {
        let limits = Limits {
            headers: limit,
            ..Limits::default()
        };
        let run = |count| exchange_with(&Method::GET, &[], limits, head(count).as_bytes());
        assert!(run(limit).is_ok());
        assert_eq!(run(limit + 1), Err(Error::TooManyHeaders { limit }));
    }
}

#[test]
fn rule_6_informational_responses_are_skipped_and_bounded() {
    let responses = |count: usize| {
        let early = "HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: x\r\n\r\n";
        format!(
            "{}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            early.repeat(count)
        )
    };
    let outcome = get(&responses(16)).unwrap();
    assert!(outcome.status == 200 && outcome.body == b"x" && outcome.reusable);
    assert_eq!(
        get(&responses(17)),
        Err(Error::TooManyInformational { limit: 16 })
    );
    assert_eq!(
        get("HTTP/1.1 100 Continue\r\n\r\n"),
        Err(Error::ClosedInHead)
    );
}

#[test]
fn rule_6_each_informational_head_is_limited_too() {
    let lines = "a: b\r\n".repeat(101);
    let early = format!("HTTP/1.1 103 Early Hints\r\n{lines}\r\n{OK_X}");
    assert_eq!(get(&early), Err(Error::TooManyHeaders { limit: 100 }));
    let long = "b".repeat(70_000);
    let early = format!("HTTP/1.1 103 Early Hints\r\na: {long}\r\n\r\n{OK_X}");
    assert_eq!(get(&early), Err(Error::HeadTooLarge { limit: 64 * 1024 }));
    // The count starts anew with each request: 16 before each of two responses are fine.
    let mut connection = Connection::new(Limits::default());
    let input = format!("{}{OK_X}", "HTTP/1.1 103 Early\r\n\r\n".repeat(16));
    for _ in 0..2 {
        send(&mut connection, &Method::GET, &[]).unwrap();
        let (used, event) = connection.receive(input.as_bytes()).unwrap();
        assert!(matches!(event, Event::Head(_)));
        connection.receive(&input.as_bytes()[used..]).unwrap();
        assert!(matches!(connection.receive(b""), Ok((0, Event::End))));
    }
}

#[test]
fn rule_6_101_only_when_asked_for() {
    let input = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nother protocol";
    assert_eq!(exchange(&Method::GET, input), Err(Error::UnexpectedUpgrade));
    let asked = [("upgrade", "x"), ("connection", "upgrade")];
    let outcome = exchange_with(&Method::GET, &asked, Limits::default(), input).unwrap();
    assert!(outcome.status == 101 && outcome.body.is_empty() && !outcome.reusable);
}
