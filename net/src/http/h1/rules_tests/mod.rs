//! The rules of parsing, one group of tests per rule, each with what must fail.
//!
//! | file | rules |
//! |---|---|
//! | `head.rs` | 1 where the body ends, 2 codings, 3 lengths, 4 lines of the head, 6 its limits |
//! | `body.rs` | 5 chunks, 7 early end and excess, 8 requests, 9 size of the body |

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::{Connection, Error, Event, Limits, RequestBody, RequestHead};

mod head;
mod body;

/// One response as a whole: what the caller of the codec would see.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: StatusCode,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    reusable: bool,
}

/// Sends `method`, receives `input` in one piece and then the end of the stream.
fn exchange(method: &Method, input: &[u8]) -> Result<Outcome, Error> {
    exchange_with(method, &[], Limits::default(), input)
}

fn get(input: &str) -> Result<Outcome, Error> {
    exchange(&Method::GET, input.as_bytes())
}

fn exchange_with(
    method: &Method,
    headers: &[(&'static str, &'static str)],
    limits: Limits,
    mut input: &[u8],
) -> Result<Outcome, Error> {
    let mut connection = Connection::new(limits);
    send(&mut connection, method, headers)?;
    let mut outcome = Outcome {
        status: StatusCode::IM_A_TEAPOT,
        body: Vec::new(),
        trailers: None,
        reusable: false,
    };
    loop {
        let (used, event) = connection.receive(input)?;
        input = &input[used..];
        match event {
            Event::Head(head) => outcome.status = head.status(),
            Event::Data(data) => outcome.body.extend_from_slice(data),
            Event::Trailers(trailers) => outcome.trailers = Some(trailers),
            Event::NeedMore => {
                assert!(input.is_empty());
                connection.eof()?;
                break;
            }
            Event::End => break,
        }
    }
    outcome.reusable = connection.can_reuse();
    Ok(outcome)
}

fn send(
    connection: &mut Connection,
    method: &Method,
    headers: &[(&'static str, &'static str)],
) -> Result<(), Error> {
    let headers = headers
        .iter()
        .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    let request = RequestHead {
        method,
        target: "/",
        host: "h",
        port: None,
        headers: &headers,
        defaults: &HeaderMap::new(),
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    connection.encode_request(&request, &mut Vec::new())
}

/// A whole response that leaves its connection as it should be.
const OK_X: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";

/// A head with these header lines, then `body`.
fn ok(lines: &str, body: &str) -> Result<(String, bool), Error> {
    let outcome = get(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}"))?;
    Ok((String::from_utf8(outcome.body).unwrap(), outcome.reusable))
}

fn whole(text: &str, reusable: bool) -> Result<(String, bool), Error> {
    Ok((text.to_owned(), reusable))
}
