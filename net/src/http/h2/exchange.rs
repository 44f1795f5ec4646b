//! One request, up to its response's head.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Uri, Version};
use hyper::body::Incoming;

use super::connection::Lease;
use super::stream::Stream;
use super::upload::{Upload, upload};
use crate::http::arrived::Arrived;
use crate::http::deadline::Clocks;
use crate::http::error::{Cause, Error, Phase};
use crate::http::exchange::{Config, Outcome};
use crate::http::flow::Flow;
use crate::http::h1::{Error as CodecError, Limits, ResponseHead};
use crate::http::link::Received;
use crate::http::request::Request;
use crate::http::url::{origin, target};
use http_body::Body;

/// An error of hyper's, which says what is at the bottom of it.
#[derive(Debug)]
pub(super) struct Failure(pub(super) hyper::Error);

impl Failure {
    fn h2(&self) -> Option<&::h2::Error> {
        self.0.source()?.downcast_ref()
    }

    /// The server has not looked at the request (RFC 9113, section 8.7), so it may be sent again whatever it is.
    fn is_refusal(&self) -> bool {
        let is_refusal = |error: &::h2::Error| {
            let gracefully = error.is_go_away() && error.reason() == Some(::h2::Reason::NO_ERROR);
            let refused = error.is_reset() && error.reason() == Some(::h2::Reason::REFUSED_STREAM);
            error.is_remote() && (gracefully || refused)
        };
        self.h2().is_some_and(is_refusal)
    }

    /// It is this stream only that failed, and not the connection.
    fn is_of_stream(&self) -> bool {
        self.h2().is_some_and(::h2::Error::is_reset)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cause: &dyn StdError = &self.0;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        write!(f, "{cause}")
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// Sends a request over a shared connection, up to its response's head. `None`: it was not answered, and may be sent
/// again over another connection; `last`: which may not be.
pub(in crate::http) async fn exchange(
    config: &Config,
    lease: Lease,
    reused: bool,
    last: bool,
    request: &mut Request,
    clocks: &mut Clocks,
) -> Option<Outcome> {
    let head = match head(request, config.defaults(request)) {
        Ok(head) => head,
        Err(error) => {
            let error = Error::new(Phase::Build, Cause::Codec(error));
            return Some(Err(error.with_url(&request.url)));
        }
    };
    let (outgoing, upload) = upload(request.lend_body());
    let answer = pin!(lease.sender().try_send_request(head.map(|()| outgoing)));
    let answered = answered(answer, &upload, clocks).await;
    clocks.pause();
    let failed = match answered {
        Ok(Ok(response)) => {
            let received = receive(response, request, upload, lease, config.limits);
            return Some(received.map_err(|error| error.with_url(&request.url)));
        }
        Ok(Err(failed)) => failed,
        Err(timed_out) => return Some(Err(timed_out.with_url(&request.url))),
    };
    request.give_back_body(upload.take_unread());
    let unsent = failed.message().is_some();
    let failure = Failure(failed.into_error());
    if !failure.is_of_stream() {
        lease.retire();
    }
    if let Some(error) = upload.take_error() {
        return Some(Err(
            Error::source(Phase::Upload, error).with_url(&request.url)
        ));
    }
    let unseen = unsent || failure.is_refusal();
    let unanswered = unseen || !failure.is_of_stream();
    let harmless = unseen || (unanswered && reused && request.is_idempotent());
    if harmless && !last && !request.is_body_spent() {
        return None;
    }
    let error = Error::source(Phase::Head, failure).with_url(&request.url);
    Some(Err(error.with_unanswered(unanswered)))
}

/// Waits for the answer as long as the clocks allow.
async fn answered<R>(
    mut answer: Pin<&mut impl Future<Output = R>>,
    upload: &Upload,
    clocks: &mut Clocks,
) -> Result<R, Error> {
    poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        let phase = match upload.is_sending(cx.waker()) {
            true => Phase::Send,
            false => Phase::Head,
        };
        let waits = upload.waits_for_body();
        clocks.poll(cx, waits, upload.sent(), phase).map(Err)
    })
    .await
}

/// The answer, looked at.
fn receive(
    response: http::Response<Incoming>,
    request: &Request,
    upload: Upload,
    lease: Lease,
    limits: Limits,
) -> Outcome {
    let (parts, body) = response.into_parts();
    let refused = |error| Error::new(Phase::Head, Cause::Codec(error));
    check_count(&parts.headers, &limits).map_err(refused)?;
    let head = ResponseHead::from_map(Version::HTTP_2, parts.status, &parts.headers);
    let ended = body.is_end_stream();
    let length = head
        .content_length()
        .filter(|_| request.method != Method::HEAD);
    if length.is_some_and(|length| length > limits.body) && !ended {
        let limit = limits.body;
        return Err(refused(CodecError::BodyTooLarge { limit }));
    }
    let received = Received {
        head,
        body: Arrived::default(),
        ended,
        tunnel: false,
        trailers: None,
    };
    let remote = lease.remote();
    let flow =
        (!ended).then(|| Flow::Stream(Box::new(Stream::new(body, upload, length, limits, lease))));
    Ok((received, remote, flow))
}

pub(super) fn check_count(map: &HeaderMap, limits: &Limits) -> Result<(), CodecError> {
    let limit = limits.header_lines();
    if map.len() > limit {
        return Err(CodecError::TooManyHeaders { limit });
    }
    Ok(())
}

/// The head of a request as HTTP/2 has it (RFC 9113, section 8.3.1).
fn head(request: &Request, defaults: &HeaderMap) -> Result<http::Request<()>, CodecError> {
    let mut headers = request.headers.clone();
    for (name, value) in defaults {
        if !request.headers.contains_key(name) {
            headers.append(name, value.clone());
        }
    }
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        return Err(CodecError::FramingHeader);
    }
    let uri = uri(request, headers.remove(HOST).as_ref())?;
    remove_hops(&mut headers);
    let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let length = match &request.body {
        Some(body) => body.content_length(),
        None => expects_body.then_some(0),
    };
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut head = http::Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    Ok(head)
}

/// The URL as scheme, authority and path; the authority is that of a `Host` header, if there is one.
fn uri(request: &Request, host: Option<&HeaderValue>) -> Result<Uri, CodecError> {
    let url = &request.url;
    let authority = match host {
        Some(host) => host.to_str().map_err(|_| CodecError::InvalidHost)?,
        None => origin(url)
            .split_once("://")
            .map_or("", |(_, authority)| authority),
    };
    let path = match target(url) {
        "" => "/",
        path => path,
    };
    let built = Uri::builder()
        .scheme(url.scheme())
        .authority(authority)
        .path_and_query(path)
        .build();
    built.map_err(|_| match authority.parse::<http::uri::Authority>() {
        Ok(_) => CodecError::InvalidTarget,
        Err(_) => CodecError::InvalidHost,
    })
}

/// Removes what is said to the next hop only, which HTTP/2 has frames for (RFC 9113, section 8.2.2).
fn remove_hops(headers: &mut HeaderMap) {
    const OTHERS: [&str; 2] = ["keep-alive", "proxy-connection"];
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in OTHERS {
        headers.remove(name);
    }
    // A body is not held back here.
    for name in [CONNECTION, UPGRADE, EXPECT] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}
