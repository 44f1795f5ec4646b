//! Drives hyper's connection by hand: its futures are polled until nothing moves any more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response};

use crate::generate::{Case, Exchange};
use crate::outcome::{End, Fault, Head, Outcome};

/// Both ends of a connection in memory: what is written counts as a request, which lets the response come.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    asked: bool,
    closes: bool,
}

/// So many rounds of polls without a result mean that there will be none.
const PATIENCE: u32 = 4;

/// The outcomes of as many exchanges as the connection allows.
pub(crate) fn run(case: &Case) -> Vec<Outcome> {
    let wire = Wire::default();
    let mut cx = Context::from_waker(Waker::noop());
    let mut builder = Builder::new();
    builder.max_headers(100);
    let handshake = pin!(builder.handshake::<_, String>(wire.clone()));
    let Poll::Ready(Ok((mut sender, connection))) = handshake.poll(&mut cx) else {
        panic!("a handshake of HTTP/1 does not wait");
    };
    let mut driver = Driver {
        wire,
        connection: Some(connection),
    };
    let mut outcomes = Vec::new();
    for exchange in &case.exchanges {
        let outcome = driver.exchange(&mut sender, exchange, &mut cx);
        let goes_on = outcome.end == End::Complete { reusable: true };
        outcomes.push(outcome);
        if !goes_on {
            break;
        }
    }
    outcomes
}

struct Driver {
    wire: Wire,
    /// `None` when it has ended.
    connection: Option<Connection<Wire, String>>,
}

impl Driver {
    fn exchange(
        &mut self,
        sender: &mut SendRequest<String>,
        exchange: &Exchange,
        cx: &mut Context<'_>,
    ) -> Outcome {
        self.wire.expect(exchange);
        let mut outcome = Outcome::default();
        let mut response = pin!(sender.send_request(request(exchange)));
        let response = match self.poll_with(cx, |cx| response.as_mut().poll(cx)) {
            None => return outcome,
            Some(Err(error)) => {
                outcome.end = End::Error(Fault::Theirs(format!("{error:?}")));
                return outcome;
            }
            Some(Ok(response)) => response,
        };
        outcome.head = Some(head(&response));
        let mut body = response.into_body();
        loop {
            match self.poll_with(cx, |cx| Pin::new(&mut body).poll_frame(cx)) {
                None => return outcome,
                Some(Some(Err(error))) => {
                    outcome.end = End::Error(Fault::Theirs(format!("{error:?}")));
                    return outcome;
                }
                Some(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => outcome.body.extend_from_slice(&data),
                    Err(frame) => outcome.trailers = frame.into_trailers().ok(),
                },
                Some(None) => break,
            }
        }
        // Let it see what came after the end.
        self.poll_with(cx, |_| Poll::<()>::Pending);
        let reusable = sender.is_ready() && self.connection.is_some();
        outcome.end = End::Complete { reusable };
        outcome
    }

    /// Polls something in turn with the connection, until it is ready or nothing moves.
    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let mut idle = 0;
        while idle < PATIENCE {
            if let Poll::Ready(value) = poll(cx) {
                return Some(value);
            }
            let before = self.wire.0.borrow().pieces.len();
            if let Some(connection) = &mut self.connection
                && Pin::new(connection).poll(cx).is_ready()
            {
                self.connection = None;
            }
            let moved = self.wire.0.borrow().pieces.len() != before;
            idle = if moved { 0 } else { idle + 1 };
        }
        None
    }
}

fn request(exchange: &Exchange) -> Request<String> {
    let mut request = Request::builder()
        .method(&exchange.method)
        .uri(match exchange.method {
            http::Method::CONNECT => "h:1",
            _ => "/",
        })
        .header("host", "h");
    for (name, value) in &exchange.request_headers {
        request = request.header(name, value);
    }
    request.body(String::new()).unwrap()
}

fn head(response: &Response<Incoming>) -> Head {
    Head {
        status: response.status().as_u16(),
        version: response.version(),
        headers: response.headers().clone(),
    }
}

impl Wire {
    fn expect(&self, exchange: &Exchange) {
        let mut state = self.0.borrow_mut();
        state.pieces = exchange.pieces(2).map(<[u8]>::to_vec).collect();
        state.asked = false;
        state.closes = exchange.closes;
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if !state.asked {
            return Poll::Pending;
        }
        let Some(mut piece) = state.pieces.pop_front() else {
            return match state.closes {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        };
        let fits = piece.len().min(into.remaining());
        into.put_slice(&piece[..fits]);
        piece.drain(..fits);
        if !piece.is_empty() {
            state.pieces.push_front(piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
