//! Drives the codec.

use heist_net::http::h1::{Connection, Error, Event, Limits, RequestBody, RequestHead};
use http::{HeaderMap, Version};

use crate::generate::{Case, Exchange};
use crate::outcome::{End, Fault, Head, Outcome};

/// The outcomes of as many exchanges as the connection allows.
pub(crate) fn run(case: &Case) -> Vec<Outcome> {
    let mut connection = Connection::new(Limits::default());
    let mut outcomes = Vec::new();
    for exchange in &case.exchanges {
        let mut outcome = Outcome::default();
        send(&mut connection, exchange);
        if let Err(error) = receive(&mut connection, exchange, &mut outcome) {
            outcome.end = End::Error(Fault::Ours(error));
        }
        let goes_on = outcome.end == End::Complete { reusable: true };
        outcomes.push(outcome);
        if !goes_on {
            break;
        }
    }
    outcomes
}

fn send(connection: &mut Connection, exchange: &Exchange) {
    let request = RequestHead {
        method: &exchange.method,
        target: "h:1",
        host: "h",
        port: None,
        headers: &exchange.request_headers,
        defaults: &HeaderMap::new(),
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    connection
        .encode_request(&request, &mut Vec::new())
        .unwrap();
}

fn receive(
    connection: &mut Connection,
    exchange: &Exchange,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    for mut input in exchange.pieces(1) {
        loop {
            let (used, event) = connection.receive(input)?;
            input = &input[used..];
            match event {
                Event::Head(head) => {
                    outcome.head = Some(Head {
                        status: head.status().as_u16(),
                        version: head.version(),
                        headers: head.header_map(),
                    });
                }
                Event::Data(data) => outcome.body.extend_from_slice(data),
                Event::Trailers(trailers) => outcome.trailers = Some(trailers),
                Event::NeedMore => break,
                Event::End => {
                    let reusable = connection.can_reuse();
                    outcome.end = End::Complete { reusable };
                    break;
                }
            }
        }
    }
    if exchange.closes {
        connection.eof()?;
        outcome.end = End::Complete { reusable: false };
    }
    Ok(())
}
