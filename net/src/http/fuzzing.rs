//! What fuzz targets need of the private parts; not there in an ordinary build.

use ::url::Url;
use http::StatusCode;

use super::error::Error;
use super::redirect::Policy;

/// Where a redirect leads.
///
/// # Errors
///
/// When it leads nowhere.
pub fn next_url(from: &Url, status: u16, location: &[u8]) -> Result<Option<Url>, Error> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    Policy::default().next_url(0, from, status, Some(location))
}

/// What goes into the request line.
#[must_use]
pub fn target(url: &Url) -> &str {
    super::url::target(url)
}

/// Host and port, as in the `Host` header.
#[must_use]
pub fn authority(url: &Url) -> &str {
    super::url::authority(url)
}

/// Whether credentials for one may be sent to the other.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    super::url::same_origin(a, b)
}
