//! Through a proxy to a server: `CONNECT` ([RFC 9110, section 9.3.6]), or SOCKS.
//!
//! The proxy's answer to `CONNECT` is read by the codec that reads all responses, with the same limits. A
//! refusal ends the connection, so its body is not read.
//!
//! [RFC 9110, section 9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6

use http::{HeaderMap, Method, Version as HttpVersion};

use super::server::{Protocol, Server};
use super::socks::{Destination, Handshake, SocksError, Version};
use crate::http::error::{Cause, Error, Phase};
use crate::http::h1::{Connection, Error as CodecError, Event, Limits, RequestBody, RequestHead};
use crate::http::transport::Transport;
use crate::io::{AsyncReadExt, AsyncWriteExt};

/// Asks a proxy, to which `transport` leads, for a way to `to`. Afterwards `transport` leads there.
pub(in crate::http) async fn open(
    server: &Server,
    transport: &mut Transport,
    to: &Destination,
    agent: &HeaderMap,
    limits: Limits,
) -> Result<(), Error> {
    let version = match server.protocol {
        Protocol::Http | Protocol::Https => {
            return connect(server, transport, to, agent, limits).await;
        }
        Protocol::Socks4 { .. } => Version::V4,
        Protocol::Socks5 { .. } => Version::V5,
    };
    let handshake = Handshake::new(version, to, server.credentials.as_ref()).map_err(refused)?;
    socks(handshake, transport).await
}

fn refused(error: SocksError) -> Error {
    Error::source(Phase::Tunnel, error).with_remedy(error.remedy())
}

fn broken(error: std::io::Error) -> Error {
    Error::source(Phase::Tunnel, error)
}

fn unreadable(error: CodecError) -> Error {
    Error::new(Phase::Tunnel, Cause::Codec(error))
}

async fn socks(mut handshake: Handshake, transport: &mut Transport) -> Result<(), Error> {
    loop {
        let out = handshake.output();
        if !out.is_empty() {
            transport.write_all(&out).await.map_err(broken)?;
        }
        if handshake.is_done() {
            return Ok(());
        }
        let received = transport.recv().await.map_err(broken)?;
        let Some(bytes) = received else {
            return Err(refused(SocksError::Closed));
        };
        let used = handshake.receive(&bytes).map_err(refused)?;
        // Of HTTP and TLS it is the client that begins. Whatever this is, it answers nothing that was asked.
        if used < bytes.len() {
            return Err(refused(SocksError::Excess));
        }
    }
}

async fn connect(
    server: &Server,
    transport: &mut Transport,
    to: &Destination,
    agent: &HeaderMap,
    limits: Limits,
) -> Result<(), Error> {
    let (host, port) = match to {
        Destination::Address(address) => (address.ip().to_string(), address.port()),
        Destination::Name(name, port) => (name.clone(), *port),
    };
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let target = format!("{host}:{port}");
    let mut codec = Connection::new(limits);
    let mut out = Vec::new();
    let head = RequestHead {
        method: &Method::CONNECT,
        target: &target,
        host: &host,
        port: Some(port),
        headers: &server.headers,
        defaults: agent,
        version: HttpVersion::HTTP_11,
        body: RequestBody::None,
    };
    codec.encode_request(&head, &mut out).map_err(unreadable)?;
    transport.write_all(&out).await.map_err(broken)?;
    loop {
        let Some(bytes) = transport.recv().await.map_err(broken)? else {
            let early = codec
                .eof()
                .err()
                .unwrap_or(CodecError::ClosedBeforeResponse);
            return Err(unreadable(early));
        };
        let (used, event) = codec.receive(&bytes).map_err(unreadable)?;
        if let Event::Head(head) = event {
            if !codec.is_tunnel() {
                return Err(Error::new(Phase::Tunnel, Cause::Proxy(head.status())));
            }
            if used < bytes.len() {
                return Err(unreadable(CodecError::Unsolicited));
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
