//! SOCKS handshakes: in every split, cut at every byte, and with every byte changed.

use super::*;

fn address(text: &str) -> Destination {
    Destination::Address(text.parse().unwrap())
}

fn name(text: &str) -> Destination {
    Destination::Name(text.to_owned(), 443)
}

fn me() -> Credentials {
    Credentials::new(b"me".to_vec(), b"pw".to_vec())
}

/// What the client says and what the proxy answers, in turn.
struct Script {
    version: Version,
    to: Destination,
    credentials: Option<Credentials>,
    turns: Vec<(Vec<u8>, Vec<u8>)>,
}

fn good_scripts() -> Vec<Script> {
    let script = |version, to, credentials, turns: &[(&[u8], &[u8])]| Script {
        version,
        to,
        credentials,
        turns: turns
            .iter()
            .map(|(out, back)| (out.to_vec(), back.to_vec()))
            .collect(),
    };
    let v4_reply = b"\x05\x00\x00\x01\x0a\x00\x00\x01\x1f\x90";
    let v6_reply = b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50";
    vec![
        script(
            Version::V5,
            address("1.2.3.4:80"),
            None,
            &[
                (b"\x05\x01\x00", b"\x05\x00"),
                (b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50", v4_reply),
            ],
        ),
        script(
            Version::V5,
            name("h.example"),
            Some(me()),
            &[
                (b"\x05\x02\x00\x02", b"\x05\x02"),
                (b"\x01\x02me\x02pw", b"\x01\x00"),
                (b"\x05\x01\x00\x03\x09h.example\x01\xbb", v6_reply),
            ],
        ),
        // With credentials that the proxy does not want; it answers with a name, an empty one too.
        script(
            Version::V5,
            address("[2001:db8::1]:443"),
            Some(me()),
            &[
                (b"\x05\x02\x00\x02", b"\x05\x00"),
                (
                    b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb",
                    b"\x05\x00\x00\x03\x04host\x00\x01",
                ),
            ],
        ),
        script(
            Version::V5,
            name("h"),
            None,
            &[
                (b"\x05\x01\x00", b"\x05\x00"),
                (
                    b"\x05\x01\x00\x03\x01h\x01\xbb",
                    b"\x05\x00\x00\x03\x00\x00\x01",
                ),
            ],
        ),
        script(
            Version::V4,
            address("1.2.3.4:80"),
            Some(me()),
            &[(
                b"\x04\x01\x00\x50\x01\x02\x03\x04me\x00",
                b"\x00\x5a\0\0\0\0\0\0",
            )],
        ),
        script(
            Version::V4,
            name("h.example"),
            None,
            &[(
                b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00h.example\x00",
                b"\x00\x5a\0\0\0\0\0\0",
            )],
        ),
    ]
}

/// Runs a script whose answers arrive in pieces of `size`; returns how many bytes were not used.
fn run(script: &Script, size: usize, excess: &[u8]) -> Result<usize, SocksError> {
    let mut handshake = Handshake::new(script.version, &script.to, script.credentials.as_ref())?;
    let mut left = 0;
    for (number, (out, back)) in script.turns.iter().enumerate() {
        assert!(!handshake.is_done());
        assert_eq!(handshake.output(), *out, "turn {number}");
        let mut back = back.clone();
        if number + 1 == script.turns.len() {
            back.extend(excess);
        }
        for piece in back.chunks(size) {
            left += piece.len() - handshake.receive(piece)?;
        }
    }
    assert!(handshake.is_done() && handshake.output().is_empty());
    Ok(left)
}

#[test]
fn handshakes_in_every_split() {
    for script in good_scripts() {
        for size in 1..=30 {
            assert_eq!(run(&script, size, b""), Ok(0));
            // What follows belongs to somebody else, in whatever pieces it comes.
            assert_eq!(run(&script, size, b"HTTP"), Ok(4), "pieces of {size}");
        }
    }
}

#[test]
fn a_handshake_that_is_cut_anywhere_is_not_done() {
    for script in good_scripts() {
        let total: usize = script.turns.iter().map(|turn| turn.1.len()).sum();
        for cut in 0..total {
            let credentials = script.credentials.as_ref();
            let mut handshake = Handshake::new(script.version, &script.to, credentials).unwrap();
            let all = script.turns.iter().flat_map(|turn| turn.1.iter().copied());
            for byte in all.take(cut) {
                assert_eq!(handshake.receive(&[byte]), Ok(1));
            }
            assert!(!handshake.is_done(), "cut at {cut}");
        }
    }
}

#[test]
fn no_answer_makes_it_panic_or_want_much() {
    for script in good_scripts() {
        let all: Vec<u8> = script
            .turns
            .iter()
            .flat_map(|turn| turn.1.clone())
            .collect();
        for at in 0..all.len() {
            for byte in 0..=255 {
                let mut answers = all.clone();
                answers[at] = byte;
                let credentials = script.credentials.as_ref();
                let mut handshake =
                    Handshake::new(script.version, &script.to, credentials).unwrap();
                if handshake.receive(&answers).is_ok() {
                    assert!(handshake.wanted <= 4 + 256 + 2);
                }
            }
        }
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let refused = |version, credentials: Option<Credentials>, answers: &[&[u8]]| {
        let to = address("1.2.3.4:80");
        let mut handshake = Handshake::new(version, &to, credentials.as_ref()).unwrap();
        let mut result = Ok(0);
        for answer in answers {
            result = handshake.receive(answer);
        }
        let error = result.unwrap_err();
        assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
        error
    };
    let v5 = Version::V5;
    assert_eq!(
        refused(v5, None, &[b"\x05\xff"]),
        SocksError::WantsCredentials
    );
    assert_eq!(
        refused(v5, None, &[b"\x05\x02"]),
        SocksError::WantsCredentials
    );
    assert_eq!(
        refused(v5, Some(me()), &[b"\x05\xff"]),
        SocksError::NoMethod
    );
    assert_eq!(
        refused(v5, None, &[b"\x05\x01"]),
        SocksError::UnknownMethod(1)
    );
    assert_eq!(
        refused(v5, None, &[b"HTTP/1.1 400"]),
        SocksError::NotSocks(b'H')
    );
    assert_eq!(
        refused(v5, Some(me()), &[b"\x05\x02", b"\x01\x01"]),
        SocksError::Denied
    );
    for code in 1..=255 {
        let reply = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            refused(v5, None, &[b"\x05\x00", &reply]),
            SocksError::Refused(code)
        );
        let reply = [0, code, 0, 0, 0, 0, 0, 0];
        if code != 90 {
            assert_eq!(
                refused(Version::V4, None, &[&reply]),
                SocksError::Refused4(code)
            );
        }
    }
    // A refusal may come without the address that belongs to it.
    let mut handshake = Handshake::new(v5, &name("h"), None).unwrap();
    assert_eq!(
        handshake.receive(b"\x05\x00\x05\x05\x00\x01\x00"),
        Err(SocksError::Refused(5))
    );
    let odd = b"\x05\x00\x00\x02\x00";
    assert_eq!(
        refused(v5, None, &[b"\x05\x00", odd]),
        SocksError::AddressType(2)
    );
    assert_eq!(
        refused(Version::V4, None, &[b"\x05\x5a\0\0\0\0\0\0"]),
        SocksError::NotSocks(5)
    );
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let new = |version, to: &Destination, user: usize, password: usize| {
        let credentials = Credentials::new(vec![b'u'; user], vec![b'p'; password]);
        Handshake::new(version, to, Some(&credentials)).err()
    };
    let to = address("1.2.3.4:80");
    assert_eq!(new(Version::V5, &to, 255, 255), None);
    assert_eq!(new(Version::V5, &to, 256, 1), Some(SocksError::Credentials));
    assert_eq!(new(Version::V5, &to, 1, 256), Some(SocksError::Credentials));
    assert_eq!(new(Version::V5, &to, 0, 1), Some(SocksError::Credentials));
    for version in [Version::V4, Version::V5] {
        for length in [0, 256] {
            let to = name(&"n".repeat(length));
            assert_eq!(new(version, &to, 1, 1), Some(SocksError::NameLength));
        }
        assert_eq!(new(version, &name(&"n".repeat(255)), 1, 1), None);
    }
    assert_eq!(
        new(Version::V4, &address("[::1]:80"), 1, 1),
        Some(SocksError::NoIpv6)
    );
    assert_eq!(
        new(Version::V4, &address("[::ffff:1.2.3.4]:80"), 1, 1),
        None
    );
    let zero = Credentials::new(b"a\0b".to_vec(), Vec::new());
    let refused = Handshake::new(Version::V4, &to, Some(&zero)).err();
    assert_eq!(refused, Some(SocksError::Credentials));
}
