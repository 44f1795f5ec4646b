//! Writes a request head, and refuses one that could be read in two ways.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Version};

use super::Error;
use super::framing::for_each_token;

/// A request head to be written: the request line, `Host`, the headers, and the body's length.
///
/// It borrows everything, so that a request costs no allocation here. Plain fields instead of a
/// builder: every one of them must be thought of.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Any method; HEAD and CONNECT change how the response is read.
    pub method: &'a Method,
    /// The request target as it goes over the wire: path and query for most requests (an empty one
    /// is sent as `/`), `*` for OPTIONS, `host:port` for CONNECT. Userinfo and the fragment of a
    /// URL do not belong here; `#` is refused.
    pub target: &'a str,
    /// The host for the `Host` header, without port. An IPv6 address gets its brackets if it has
    /// none. A `Host` among the `headers` wins over it.
    pub host: &'a str,
    /// The port for the `Host` header; `None` for the default port of the scheme.
    pub port: Option<u16>,
    /// The headers of this request, sent in their order after `Host`.
    pub headers: &'a HeaderMap,
    /// Headers that are sent unless `headers` has one of the same name.
    pub defaults: &'a HeaderMap,
    /// [`Version::HTTP_10`] for a server that knows nothing better; every other is sent as HTTP/1.1.
    pub version: Version,
    /// The body that follows the head. The codec writes the header that frames it.
    pub body: RequestBody,
}

/// The body that follows a request head, as far as its framing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none, and no header says so.
    None,
    /// This many bytes: `Content-Length`.
    Length(u64),
    /// In chunks, the last one of length 0: `Transfer-Encoding: chunked`. HTTP/1.0 knows no chunks.
    Chunked,
}

/// What reading the response must know about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// The request was HEAD: no response to it has a body.
    pub(super) head: bool,
    /// The request was CONNECT: a 2xx response turns the connection into a tunnel.
    pub(super) connect: bool,
    /// The request offered another protocol, so 101 is an acceptable answer.
    pub(super) upgrade: bool,
    /// The request announced that it is the last one on this connection.
    pub(super) close: bool,
}

impl RequestHead<'_> {
    /// Appends the head to `out`, which is left as it was if the request is refused.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<Asked, Error> {
        let start = out.len();
        let result = self.write(out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<Asked, Error> {
        let mut asked = Asked {
            head: *self.method == Method::HEAD,
            connect: *self.method == Method::CONNECT,
            ..Asked::default()
        };
        let target = if self.target.is_empty() {
            "/"
        } else {
            self.target
        };
        if !target.bytes().all(is_target_byte) {
            return Err(Error::InvalidTarget);
        }
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(target.as_bytes());
        let http10 = self.version == Version::HTTP_10;
        if http10 && self.body == RequestBody::Chunked {
            return Err(Error::ChunkedInHttp10);
        }
        // Whether such a server would keep the connection is anybody's guess.
        asked.close = http10;
        out.extend_from_slice(if http10 {
            b" HTTP/1.0\r\n"
        } else {
            b" HTTP/1.1\r\n"
        });
        self.write_host(out)?;
        for (name, value) in self.headers {
            write_header(name, value, &mut asked, out)?;
        }
        for (name, value) in self.defaults {
            if !self.headers.contains_key(name) {
                write_header(name, value, &mut asked, out)?;
            }
        }
        match self.body {
            RequestBody::None => {}
            RequestBody::Length(length) => {
                out.extend_from_slice(b"content-length: ");
                write_decimal(length, out);
                out.extend_from_slice(b"\r\n");
            }
            RequestBody::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        Ok(asked)
    }

    fn write_host(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(b"host: ");
        let mut given = self.headers.get_all(HOST).iter();
        if let Some(host) = given.next() {
            let host = host.as_bytes();
            if given.next().is_some() || host.is_empty() || !host.iter().all(is_host_byte) {
                return Err(Error::InvalidHost);
            }
            out.extend_from_slice(host);
        } else {
            let host = self.host.as_bytes();
            if host.is_empty() || !host.iter().all(is_host_byte) {
                return Err(Error::InvalidHost);
            }
            let bare_v6 = host[0] != b'[' && host.contains(&b':');
            if bare_v6 {
                out.push(b'[');
            }
            out.extend_from_slice(host);
            if bare_v6 {
                out.push(b']');
            }
            if let Some(port) = self.port {
                out.push(b':');
                write_decimal(u64::from(port), out);
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn write_header(
    name: &HeaderName,
    value: &HeaderValue,
    asked: &mut Asked,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    // Well-known names compare as one byte each, so this chain is cheap.
    if name == HOST {
        return Ok(());
    } else if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
        return Err(Error::FramingHeader);
    } else if name == UPGRADE {
        asked.upgrade = true;
    } else if name == CONNECTION {
        for_each_token(value.as_bytes(), |token| {
            asked.close |= token.eq_ignore_ascii_case(b"close");
        });
    }
    let value = value.as_bytes();
    // `HeaderValue` promises this already, but it has an unchecked constructor, and what it would
    // let through is a second request. Without an early exit the loop becomes vector code.
    let bad = value
        .iter()
        .fold(false, |bad, &b| bad | matches!(b, b'\r' | b'\n' | 0));
    if bad {
        return Err(Error::InvalidHeaderValue);
    }
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Visible ASCII except `#`. A target is percent-encoded by whoever made it; anything else in it
/// is a mistake or an attack.
fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'#'
}

/// The characters of a registered name, an IP literal and a port (RFC 3986, section 3.2.2). `@` is
/// not among them, so userinfo cannot slip in; nor is `%25`-style zone text harmful.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%[]:".contains(byte)
}

fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(method: &Method, target: &str, host: &str, port: Option<u16>) -> String {
        let none = HeaderMap::new();
        let mut out = Vec::new();
        RequestHead {
            method,
            target,
            host,
            port,
            headers: &none,
            defaults: &none,
            version: Version::HTTP_11,
            body: RequestBody::None,
        }
        .encode(&mut out)
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn host_has_its_port_and_brackets() {
        let get = &Method::GET;
        assert_eq!(
            encode(get, "", "a.b", None),
            "GET / HTTP/1.1\r\nhost: a.b\r\n\r\n"
        );
        assert_eq!(
            encode(get, "/?q=1", "a.b", Some(8080)),
            "GET /?q=1 HTTP/1.1\r\nhost: a.b:8080\r\n\r\n"
        );
        assert!(encode(get, "/", "::1", Some(81)).contains("\r\nhost: [::1]:81\r\n"));
        assert!(encode(get, "/", "[::1]", None).contains("\r\nhost: [::1]\r\n"));
        assert!(encode(&Method::OPTIONS, "*", "h", None).starts_with("OPTIONS * HTTP/1.1\r\n"));
        assert!(encode(&Method::CONNECT, "h:1", "h", None).starts_with("CONNECT h:1 HTTP/1.1\r\n"));
    }

    #[test]
    fn defaults_yield_to_the_requests_own_headers() {
        let mut headers = HeaderMap::new();
        headers.append("accept", HeaderValue::from_static("a/b"));
        headers.append("x", HeaderValue::from_static("1"));
        headers.append("x", HeaderValue::from_static("2"));
        headers.insert("host", HeaderValue::from_static("other:1"));
        let mut defaults = HeaderMap::new();
        defaults.insert("accept", HeaderValue::from_static("*/*"));
        defaults.insert("user-agent", HeaderValue::from_static("heist"));
        let mut out = Vec::new();
        let request = RequestHead {
            method: &Method::PUT,
            target: "/",
            host: "h",
            port: None,
            headers: &headers,
            defaults: &defaults,
            version: Version::HTTP_11,
            body: RequestBody::Length(10_203),
        };
        request.encode(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "PUT / HTTP/1.1\r\nhost: other:1\r\naccept: a/b\r\nx: 1\r\nx: 2\r\n\
             user-agent: heist\r\ncontent-length: 10203\r\n\r\n"
        );
    }

    #[test]
    fn bodies_are_framed_once() {
        let none = HeaderMap::new();
        let encode = |version, body| {
            let mut out = Vec::new();
            let request = RequestHead {
                method: &Method::POST,
                target: "/",
                host: "h",
                port: None,
                headers: &none,
                defaults: &none,
                version,
                body,
            };
            let asked = request.encode(&mut out)?;
            Ok((asked.close, String::from_utf8(out).unwrap()))
        };
        let (close, chunked) = encode(Version::HTTP_11, RequestBody::Chunked).unwrap();
        assert!(!close && chunked.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"));
        let (close, old) = encode(Version::HTTP_10, RequestBody::Length(1)).unwrap();
        assert!(close && old.starts_with("POST / HTTP/1.0\r\n"));
        let refused = encode(Version::HTTP_10, RequestBody::Chunked);
        assert_eq!(refused, Err(Error::ChunkedInHttp10));
    }

    #[test]
    fn the_request_tells_what_the_response_may_be() {
        let none = HeaderMap::new();
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("upgrade , Close"));
        headers.insert("upgrade", HeaderValue::from_static("websocket"));
        let request = RequestHead {
            method: &Method::HEAD,
            target: "/",
            host: "h",
            port: None,
            headers: &headers,
            defaults: &none,
            version: Version::HTTP_11,
            body: RequestBody::None,
        };
        let asked = request.encode(&mut Vec::new()).unwrap();
        assert_eq!(
            asked,
            Asked {
                head: true,
                connect: false,
                upgrade: true,
                close: true
            }
        );
    }

    #[test]
    fn decimals() {
        let mut out = Vec::new();
        for n in [0, 9, 10, u64::MAX] {
            write_decimal(n, &mut out);
            out.push(b' ');
        }
        assert_eq!(out, b"0 9 10 18446744073709551615 ");
    }
}
