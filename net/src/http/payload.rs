//! Bodies that are made of values, and queries.

#[cfg(any(feature = "json", feature = "form", feature = "multipart"))]
use http::header::CONTENT_TYPE;
#[cfg(any(feature = "json", feature = "form"))]
use http::header::HeaderValue;

use super::RequestBuilder;
#[cfg(any(feature = "json", feature = "form"))]
use super::body::Body;
#[cfg(any(feature = "json", feature = "form", feature = "query"))]
use super::error::{Error, Phase};
#[cfg(any(feature = "json", feature = "form", feature = "multipart"))]
use super::request::Request;

#[cfg(any(feature = "json", feature = "form", feature = "query"))]
fn unfit(error: impl Into<Box<dyn std::error::Error + Send + Sync>>, url: &::url::Url) -> Error {
    Error::source(Phase::Build, error).with_url(url)
}

#[cfg(any(feature = "json", feature = "form"))]
fn set(request: &mut Request, mime: &'static str, body: Body) {
    let mime = HeaderValue::from_static(mime);
    request.headers.entry(CONTENT_TYPE).or_insert(mime);
    request.body = Some(body);
}

impl RequestBuilder {
    /// A value as JSON, with its `Content-Type` unless there is one already. A value that cannot be written as
    /// JSON (a map whose keys are no texts, for instance) fails the request.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        self.change(|request| {
            let text = serde_json::to_vec(value).map_err(|it| unfit(it, &request.url))?;
            set(request, "application/json", text.into());
            Ok(())
        })
    }

    /// A value as a form (`application/x-www-form-urlencoded`): pairs, a map, or a struct of plain fields. What
    /// is nested fails the request.
    #[cfg(feature = "form")]
    pub fn form<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        self.change(|request| {
            let text = serde_urlencoded::to_string(value).map_err(|it| unfit(it, &request.url))?;
            set(request, "application/x-www-form-urlencoded", text.into());
            Ok(())
        })
    }

    /// Adds to the query of the URL: pairs, a map, or a struct of plain fields. What is nested fails the
    /// request.
    #[cfg(feature = "query")]
    pub fn query<T: serde::Serialize + ?Sized>(self, query: &T) -> Self {
        self.change(|request| {
            let mut pairs = request.url.query_pairs_mut();
            let written = query.serialize(serde_urlencoded::Serializer::new(&mut pairs));
            let written = written.map(drop);
            drop(pairs);
            written.map_err(|it| unfit(it, &request.url))?;
            if request.url.query() == Some("") {
                request.url.set_query(None);
            }
            Ok(())
        })
    }

    /// A body of several parts.
    #[cfg(feature = "multipart")]
    pub fn multipart(self, form: super::multipart::Form) -> Self {
        self.change(|request: &mut Request| {
            request.headers.insert(CONTENT_TYPE, form.content_type());
            request.body = Some(form.into_body());
            Ok(())
        })
    }
}
