//! Tunnels through proxies that follow a script: good, unwilling, slow, cut off, and no proxies at all.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream as Socket};
use std::thread::JoinHandle;
use std::time::Duration;

use ::url::Url;
use heist_runtime::block_on;
use http::HeaderValue;

use super::*;
use crate::TcpStream;

/// Runs the proxy's side of one connection in a thread. Yields the port, and what the script made of it.
fn proxy<T: Send + 'static>(
    script: impl FnOnce(&mut Socket) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let outcome = script(&mut stream);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        outcome
    });
    (port, thread)
}

fn head(stream: &mut Socket) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

fn server(scheme: &str, port: u16) -> Server {
    Server::new(&Url::parse(&format!("{scheme}://me:secret@127.0.0.1:{port}")).unwrap()).unwrap()
}

fn name() -> Destination {
    Destination::Name("host.example".to_owned(), 443)
}

/// Opens a tunnel, and says `ping` through it.
async fn ping(scheme: &str, port: u16, to: Destination) -> Result<(), Error> {
    let server = server(scheme, port);
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut transport = Transport::Tcp(stream);
    let mut agent = HeaderMap::new();
    agent.insert("user-agent", HeaderValue::from_static("heist"));
    let opened = open(&server, &mut transport, &to, &agent, Limits::default()).await;
    opened.map_err(|error| error.with_proxy(&server))?;
    transport.write_all(b"ping").await.unwrap();
    Ok(())
}

/// The error of a `CONNECT` that is answered with these bytes.
fn answered(answer: impl Into<Vec<u8>>) -> Error {
    let answer = answer.into();
    let (port, thread) = proxy(move |stream| {
        head(stream);
        let _ = stream.write_all(&answer);
    });
    let error = block_on(ping("http", port, name())).unwrap_err();
    thread.join().unwrap();
    let text = format!("{error} {error:?}");
    assert!(
        error.is_proxy() && error.is_connect() && error.is_request(),
        "{text}"
    );
    assert!(
        text.contains(&format!("through http://127.0.0.1:{port} failed: ")),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert!(
        error.to_string().contains("; "),
        "there is no remedy: {text}"
    );
    error
}

#[test]
fn connect_says_where_and_who() {
    let cases = [
        (name(), "host.example:443"),
        (
            Destination::Address("192.0.2.1:8443".parse().unwrap()),
            "192.0.2.1:8443",
        ),
        (
            Destination::Address("[2001:db8::1]:443".parse().unwrap()),
            "[2001:db8::1]:443",
        ),
    ];
    for (to, expected) in cases {
        let (port, thread) = proxy(|stream| {
            let head = head(stream);
            let answer =
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Yes\r\nContent-Length: 9\r\n\r\n";
            for byte in answer {
                stream.write_all(&[*byte]).unwrap();
            }
            let mut ping = [0; 4];
            stream.read_exact(&mut ping).unwrap();
            (head, ping)
        });
        block_on(ping("http", port, to)).unwrap();
        let (head, heard) = thread.join().unwrap();
        assert_eq!(
            head,
            format!(
                "CONNECT {expected} HTTP/1.1\r\nhost: {expected}\r\n\
                 proxy-authorization: Basic bWU6c2VjcmV0\r\nuser-agent: heist\r\n\r\n"
            )
        );
        assert_eq!(&heard, b"ping");
    }
}

#[test]
fn a_refusal_has_its_status_and_remedy() {
    for (status, remedy) in [
        (407, "Proxy::basic_auth"),
        (403, "rules"),
        (404, "CONNECT"),
        (429, "again later"),
        (502, "check the host"),
        (504, "check the host"),
        (302, "CONNECT"),
    ] {
        let body = "<html>no</html>".repeat(1000);
        let length = body.len();
        let error = answered(format!(
            "HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(error.proxy_status().unwrap(), status);
        assert!(error.to_string().contains(remedy), "{error}");
        assert_eq!(error.status(), None);
    }
}

#[test]
fn what_is_no_answer_of_a_proxy() {
    for garbage in [
        &b"SSH-2.0-OpenSSH\r\n"[..],
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x05\x00\x00\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        // Nothing may come before we have said something.
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert!(answered(garbage).is_decode());
    }
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(101));
    assert!(answered(endless).is_limit());
    let whole = b"HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\n";
    for cut in 0..whole.len() {
        let error = answered(&whole[..cut]);
        assert!(
            !error.is_decode() && error.proxy_status().is_none(),
            "cut at {cut}: {error}"
        );
    }
}

#[test]
fn a_proxy_that_goes_away_is_no_hang() {
    let (port, thread) = proxy(|stream| {
        head(stream);
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(&*stream).set_linger(linger).unwrap();
    });
    let error = block_on(ping("http", port, name())).unwrap_err();
    assert!(error.is_proxy() && error.is_connect(), "{error}");
    thread.join().unwrap();
}

/// Plays a SOCKS5 proxy that asks for a password; `answer` is its last word.
fn socks5(answer: Vec<u8>) -> (u16, JoinHandle<Vec<u8>>) {
    proxy(move |stream| {
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [5, 2, 0, 2]);
        stream.write_all(&[5]).unwrap();
        stream.write_all(&[2]).unwrap();
        let mut heard = [0; 11];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"\x01\x02me\x06secret");
        stream.write_all(&[1, 0]).unwrap();
        let mut request = vec![0; 19];
        stream.read_exact(&mut request).unwrap();
        for byte in answer {
            let _ = stream.write_all(&[byte]);
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut request);
        request
    })
}

const GOOD: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];

#[test]
fn socks_leads_there_or_says_why_not() {
    let (port, thread) = socks5(GOOD.to_vec());
    block_on(ping("socks5h", port, name())).unwrap();
    assert_eq!(
        thread.join().unwrap(),
        b"\x05\x01\x00\x03\x0chost.example\x01\xbbping"
    );
    for (answer, expected) in [
        (
            vec![5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
            "not allowed by its rules; ",
        ),
        (vec![5, 0, 0], "closed the connection"),
        (GOOD[..9].to_vec(), "closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "is not SOCKS"),
    ] {
        let (port, thread) = socks5(answer);
        let text = block_on(ping("socks5h", port, name()))
            .unwrap_err()
            .to_string();
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains(&format!("through socks5h://127.0.0.1:{port}")),
            "{text}"
        );
        thread.join().unwrap();
    }
    let excess = [&GOOD[..], b"x"].concat();
    let (port, thread) = proxy(move |stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        stream.read_exact(&mut [0; 19]).unwrap();
        stream.write_all(&excess).unwrap();
    });
    let error = block_on(ping("socks5h", port, name())).unwrap_err();
    assert!(error.to_string().contains("before it was asked"), "{error}");
    thread.join().unwrap();
}
