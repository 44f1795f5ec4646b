//! Request heads, as far as a server of static pages needs to understand them.
//!
//! Pure: bytes in, verdict out. What is refused is refused because two readers could disagree
//! about it (RFC 9112 sections 3 and 6), which is how requests get smuggled.

use httparse::{EMPTY_HEADER, Header, Status};

use crate::PageUrl;

/// Longest head that is read, in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// Most headers that are read.
const MAX_HEADERS: usize = 64;

/// What the bytes at hand are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The beginning of a head; more must arrive.
    Partial,
    Request(Request),
    /// Nothing that can be answered in earnest: this status, and the connection closes.
    Refused(u16),
}

/// A request that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Bytes of its head; the next request begins after them.
    pub(super) length: usize,
    pub(super) method: Method,
    /// The path, normalised, without the query.
    pub(super) path: String,
    /// Whether another request may follow on the connection.
    pub(super) keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// Reads the head at the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Verdict {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Verdict::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Verdict::Refused(431),
        Err(httparse::Error::Version) => return Verdict::Refused(505),
        Err(_) => return Verdict::Refused(400),
    };
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Verdict::Refused(400);
    };
    let Some(path) = path_of(target) else {
        return Verdict::Refused(400);
    };
    let mut hosts = values(head.headers, "host");
    // HTTP/1.1 has exactly one Host; HTTP/1.0 may do without.
    if (hosts.next().is_none() && version == 1) || hosts.next().is_some() {
        return Verdict::Refused(400);
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    // A body would have to be read before the next request. Nobody sends one with a GET, so
    // the connection ends instead.
    let body = values(head.headers, "transfer-encoding").next().is_some()
        || values(head.headers, "content-length").any(|length| length != b"0");
    let says = |word| values(head.headers, "connection").any(|list| has_token(list, word));
    let keep_alive = !body && !says("close") && (version == 1 || says("keep-alive"));
    Verdict::Request(Request {
        length,
        method,
        path,
        keep_alive,
    })
}

fn values<'h>(headers: &'h [Header<'_>], name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |h| h.name.eq_ignore_ascii_case(name))
        .map(|h| h.value)
}

fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The path of a request target in origin form (`/a?b`) or absolute form (`http://host/a?b`).
fn path_of(target: &str) -> Option<String> {
    if target.starts_with('/') {
        let path = target.split('?').next()?;
        // Most targets are normal already, and what is left needs a look at every byte.
        if !path.contains('%') && !path.contains("/.") {
            return Some(path.to_owned());
        }
        return normalised(&format!("http://site.invalid{path}"));
    }
    normalised(target)
}

fn normalised(url: &str) -> Option<String> {
    let url: PageUrl = url.parse().ok()?;
    Some(url.to_url().path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Verdict::Request(request) => request,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    fn refusal(text: &str) -> u16 {
        match parse(text.as_bytes()) {
            Verdict::Refused(status) => status,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    #[test]
    fn a_head_is_partial_until_its_last_byte() {
        let text = "GET /page/1.html?q HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(
                parse(&text.as_bytes()[..end]),
                Verdict::Partial,
                "{end} bytes"
            );
        }
        let expected = Request {
            length: text.len(),
            method: Method::Get,
            path: "/page/1.html".to_owned(),
            keep_alive: true,
        };
        assert_eq!(request(text), expected);
        // What follows belongs to the next request.
        assert_eq!(request(&format!("{text}GET /x")), expected);
    }

    #[test]
    fn connections_are_kept_by_the_rules() {
        for (version, headers, expected) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: Upgrade , CLOSE\r\n", false),
            ("1.0", "", false),
            ("1.0", "connection: Keep-Alive\r\n", true),
            ("1.1", "Content-Length: 0\r\n", true),
            ("1.1", "Content-Length: 5\r\n", false),
            ("1.1", "Transfer-Encoding: chunked\r\n", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{headers}\r\n");
            assert_eq!(request(&text).keep_alive, expected, "{text:?}");
        }
    }

    #[test]
    fn targets_are_read_in_both_forms() {
        let path =
            |target: &str| request(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).path;
        assert_eq!(path("/"), "/");
        assert_eq!(path("/?a=/../b"), "/");
        assert_eq!(path("/a/../%70age/1.html"), "/page/1.html");
        assert_eq!(path("http://other.example/page/2.html?x"), "/page/2.html");
    }

    #[test]
    fn methods_are_told_apart() {
        let method = |name: &str| request(&format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n")).method;
        assert_eq!(method("GET"), Method::Get);
        assert_eq!(method("HEAD"), Method::Head);
        assert_eq!(method("get"), Method::Other);
        assert_eq!(method("POST"), Method::Other);
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"), 400);
        assert_eq!(refusal("GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(refusal("\x16\x03\x01\x02\x00\x01"), 400);
        assert_eq!(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(refusal(&long), 431);
        assert_eq!(refusal(&format!("{long}\r\n\r\n")), 431);
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert_eq!(refusal(&many), 431);
    }
}
