//! Which differences are meant: where this codec is stricter than hyper's, by which rule, and how that shows.

use heist_net::http::h1::Error;
use http::{HeaderMap, Method, Version};

use crate::generate::Exchange;
use crate::outcome::{End, Fault, Head, Outcome};

const EMPTY_LINE: &str = "rule 4: nothing comes before the status line";
const CODINGS: &str = "rule 2: a coding is a token, and chunked comes once";
const DIGITS: &str = "rule 5: a chunk size has at most 16 digits";
const EXTENSIONS: &str = "rule 5: an extension holds no control character";
const TRAILERS: &str = "rule 5: a trailer ends in exactly CRLF";
const UPGRADE: &str = "rule 6: 101 only when asked for";
const HINTS: &str = "rule 6: a bounded number of 1xx";
const BOTH: &str = "rule 2: a response with both framings is not pooled";
const NO_BODY: &str = "rule 1: framing that contradicts a status without a body is not pooled";
const TUNNEL: &str = "rule 1: any success to CONNECT is a tunnel";
const OVERFLOW: &str = "rule 3: a length may have all of 64 bits";
const LATER: &str =
    "a head that comes in pieces is judged at its end by one, and before by the other";

/// All of them: each is to be seen in a run.
pub(crate) const MEANT: &[&str] = &[
    EMPTY_LINE, CODINGS, DIGITS, EXTENSIONS, TRAILERS, UPGRADE, HINTS, BOTH, NO_BODY, TUNNEL,
    OVERFLOW, LATER,
];

/// `None` if both are the same, the rule if they differ by one, and what is wrong otherwise.
pub(crate) fn explain(
    exchange: &Exchange,
    ours: &Outcome,
    theirs: &Outcome,
) -> Result<Option<&'static str>, String> {
    match (&ours.end, &theirs.end) {
        (End::Error(_), End::Error(_)) => {
            let common = ours.body.len().min(theirs.body.len());
            same(
                "the bodies until the error",
                &ours.body[..common],
                &theirs.body[..common],
            )?;
            if let (Some(ours), Some(theirs)) = (&ours.head, &theirs.head) {
                same("the heads", ours, theirs)?;
            }
            Ok(None)
        }
        (End::Error(_), End::Waiting) if ours.head.is_none() && theirs.head.is_none() => {
            Ok(Some(LATER))
        }
        (End::Error(Fault::Ours(error)), _) => stricter(exchange, *error, theirs).map(Some),
        (End::Waiting, End::Error(Fault::Theirs(_))) if ours.head.is_none() => Ok(Some(LATER)),
        (_, End::Error(Fault::Theirs(error))) => {
            let too_long = ours.head.as_ref().is_some_and(is_too_long_for_hyper);
            match too_long && ours.end == End::Waiting {
                true => Ok(Some(OVERFLOW)),
                false => Err(format!("only hyper fails: {error}")),
            }
        }
        (
            End::Complete { reusable },
            End::Complete {
                reusable: theirs_too,
            },
        ) => {
            same_content(ours, theirs)?;
            match (reusable, theirs_too) {
                (false, true) => not_pooled(exchange, ours).map(Some),
                (true, false) => Err("only ours is used again".to_owned()),
                _ => Ok(None),
            }
        }
        (End::Waiting, End::Waiting) => same_content(ours, theirs).map(|()| None),
        (ours, theirs) => Err(format!("the ends differ: {ours:?} and {theirs:?}")),
    }
}

fn same_content(ours: &Outcome, theirs: &Outcome) -> Result<(), String> {
    same("the heads", &ours.head, &theirs.head)?;
    same("the bodies", &ours.body, &theirs.body)?;
    same("the trailers", &ours.trailers, &theirs.trailers)
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    ours: &T,
    theirs: &T,
) -> Result<(), String> {
    match ours == theirs {
        true => Ok(()),
        false => Err(format!("{what} differ")),
    }
}

/// Only this codec fails. The error must be one of those that hyper does not know, with its reason in the bytes.
fn stricter(exchange: &Exchange, error: Error, theirs: &Outcome) -> Result<&'static str, String> {
    let bytes = &exchange.bytes;
    let has = |found: bool, rule| {
        let text = || format!("only ours fails, with {error:?}, and without the reason");
        found.then_some(rule).ok_or_else(text)
    };
    match error {
        Error::NotHttp => {
            let behind_a_head = [&b"\n\n\n"[..], b"\n\r\n\n", b"\n\n\r\n", b"\n\r\n\r\n"];
            let empty = behind_a_head.iter().any(|line| contains(bytes, line));
            has(
                empty || bytes.starts_with(b"\r") || bytes.starts_with(b"\n"),
                EMPTY_LINE,
            )
        }
        Error::RepeatedChunked | Error::InvalidTransferEncoding => {
            let headers = theirs.head.as_ref().map(|head| &head.headers);
            has(
                headers.is_some_and(|map| map.contains_key("transfer-encoding")),
                CODINGS,
            )
        }
        Error::InvalidChunkSize => {
            let digits = bytes.split(|b| !b.is_ascii_hexdigit());
            has(digits.map(<[u8]>::len).any(|length| length > 16), DIGITS)
        }
        Error::InvalidChunkExtension => {
            let control = |b: &u8| b.is_ascii_control() && !b"\r\n\t".contains(b);
            has(bytes.iter().any(control), EXTENSIONS)
        }
        Error::InvalidTrailers => has(contains(bytes, b"\n"), TRAILERS),
        Error::UnexpectedUpgrade => {
            let asked = exchange.request_headers.contains_key("upgrade");
            let switched = theirs.head.as_ref().is_some_and(|head| head.status == 101);
            has(switched && !asked, UPGRADE)
        }
        Error::TooManyInformational { limit: 16 } => Ok(HINTS),
        _ => has(false, ""),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// It keeps the two greatest numbers for itself.
fn is_too_long_for_hyper(head: &Head) -> bool {
    length(&head.headers).is_some_and(|length| length > u64::MAX - 2)
}

/// Only hyper would use the connection again. There must be something in the head that speaks against it.
fn not_pooled(exchange: &Exchange, ours: &Outcome) -> Result<&'static str, String> {
    let head = ours.head.as_ref().ok_or("complete without a head")?;
    let headers = &head.headers;
    let both = headers.contains_key("content-length") && headers.contains_key("transfer-encoding");
    let has_body = exchange.method != Method::HEAD && ![204, 304].contains(&head.status);
    if exchange.method == Method::CONNECT && (200..300).contains(&head.status) {
        return Ok(TUNNEL);
    }
    if has_body {
        return match both {
            true => Ok(BOTH),
            false => Err("only hyper uses it again".to_owned()),
        };
    }
    let coding = headers.contains_key("transfer-encoding");
    let announced = coding || length(headers) != Some(0);
    let doubtful = both
        || (coding && head.version == Version::HTTP_10)
        || (head.status == 204 && announced)
        || length(headers).is_none();
    match doubtful {
        true => Ok(NO_BODY),
        false => Err("only hyper uses it again, and there is no body".to_owned()),
    }
}

/// The announced length, 0 without one; `None` if it is none or several.
fn length(headers: &HeaderMap) -> Option<u64> {
    let number = |member: &[u8]| {
        let text = std::str::from_utf8(member).ok()?.trim();
        // `parse` would take a sign as well.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok())?
    };
    let mut lengths = headers
        .get_all("content-length")
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b',').map(number));
    let Some(first) = lengths.next() else {
        return Some(0);
    };
    lengths.try_fold(first?, |first, next| (next? == first).then_some(first))
}
