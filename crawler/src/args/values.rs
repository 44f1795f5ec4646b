//! The values of the flags, as they are written.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderName, HeaderValue};

#[cfg(feature = "redis")]
use crate::RedisFrontier;

/// Longest time that a page may be given.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Of things that cost memory each: a slip of the hand should not ask for billions.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err("it must be a number from 1 to 1000000".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("the time must be more than zero and at most a day".to_owned()),
    }
}

pub(super) fn header(text: &str) -> Result<String, String> {
    match http::HeaderValue::from_str(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err("it must be one line of visible characters".to_owned()),
    }
}

#[cfg(feature = "redis")]
pub(super) fn frontier(text: &str) -> Result<RedisFrontier, String> {
    let url = match text.strip_prefix("env:") {
        Some(name) => std::env::var(name)
            .map_err(|_| format!("the environment has no variable `{name}` of text"))?,
        None => text.to_owned(),
    };
    RedisFrontier::new(&url).map_err(|error| error.to_string())
}

#[cfg(feature = "redis")]
pub(super) fn lease(text: &str) -> Result<Duration, String> {
    match seconds(text) {
        Ok(time) if (1..=3600).contains(&time.as_secs()) => Ok(time),
        _ => Err("the time must be from 1 second to an hour".to_owned()),
    }
}

#[cfg(feature = "redis")]
pub(super) fn keep(text: &str) -> Result<Duration, String> {
    if text == "forever" {
        return Ok(Duration::MAX);
    }
    let time = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "it must be a number of seconds, or `forever`".to_owned())
}

/// A time between two requests, which may be none.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) {
        Ok(Duration::ZERO)
    } else {
        seconds(text)
    }
}

/// The time of a whole crawl.
pub(super) fn long_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("the time must be more than zero".to_owned()),
    }
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|&number| number > 0);
    let bytes = number.and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| "it must be a number of bytes such as 500, 64K, 10M or 2G".to_owned())
}

pub(super) fn pattern(text: &str) -> Result<String, String> {
    regex::Regex::new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn header_line(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it must be written as `Name: value`")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{}` is no name of a header", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value must be one line of visible characters".to_owned())?;
    Ok((name, value))
}

pub(super) fn cookie(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() && !text.contains([';', '\r', '\n']) => {
            Ok(text.to_owned())
        }
        _ => Err("it must be written as `name=value`".to_owned()),
    }
}

/// The value of `Authorization` for a user and a password (RFC 7617).
pub(super) fn user(text: &str) -> Result<HeaderValue, String> {
    let text = match text.strip_prefix("env:") {
        Some(name) => std::env::var(name)
            .map_err(|_| format!("there is no variable `{name}` that is text"))?,
        None => text.to_owned(),
    };
    if !text.contains(':') {
        return Err("it must be written as `user:password`".to_owned());
    }
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(text)))
        .map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}
