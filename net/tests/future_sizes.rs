//! How large connections and the futures of the HTTP client are: they are moved into tasks, and kept while they wait.
//!
//! Controls, tried: waits for readiness that lie in the stream, without a box; the making of a connection is awaited
//! where it stands, without a box; `send` is an async function. An answer that lies in its response, without a box, makes that 704 bytes.

use heist_net::http::{Client, Request, RequestBuilder, Response};
use heist_net::{RecvBuf, TcpStream, UnixStream};

/// The size of what a function returns, without calling it.
fn size<A, F>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn streams_are_small() {
    let stream = size_of::<TcpStream>();
    assert!(stream <= 128, "a stream: {stream} bytes");
    let unix = size_of::<UnixStream>();
    assert!(unix <= 128, "a Unix stream: {unix} bytes");
    let bytes = size_of::<Option<RecvBuf>>();
    assert!(bytes <= 32, "a buffer: {bytes} bytes");
    let send = size(|(stream, bytes): (&'static mut TcpStream, RecvBuf)| stream.send(bytes));
    assert!(send <= 160, "a send: {send} bytes");
}

#[test]
fn futures_of_the_client_are_small() {
    let send = size(RequestBuilder::send);
    let execute = size(|(client, request): (&'static Client, Request)| client.execute(request));
    assert!(send <= 1600, "send: {send} bytes");
    assert!(execute <= 1600, "execute: {execute} bytes");
}

#[test]
fn futures_of_a_body_are_little_more_than_the_response() {
    let most = size_of::<Response>() + 128;
    let whole = [
        ("bytes", size(Response::bytes)),
        ("text", size(Response::text)),
        #[cfg(feature = "charset")]
        (
            "text_with_charset",
            size(|it: Response| it.text_with_charset("utf-8")),
        ),
        #[cfg(feature = "json")]
        ("json", size(Response::json::<Vec<u8>>)),
    ];
    for (name, size) in whole {
        assert!(size <= most, "{name}: {size} bytes, with a limit of {most}");
    }
    let chunk = size(|response: &'static mut Response| response.chunk());
    assert!(chunk <= 64, "chunk: {chunk} bytes");
    let response = size_of::<Response>();
    assert!(response <= 128, "a response: {response} bytes");
}
