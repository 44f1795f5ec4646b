//! A client as a [`tower_service::Service`], so that the layers of tower go around it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::client::Client;
use super::error::Error;
use super::request::Request;
use super::response::Response;

/// A request that a [`Client`] runs as a [`Service`] of tower's; reqwest's `Pending`.
///
/// # Cancel safety
///
/// As [`Client::execute`]: it may be dropped at any time.
#[must_use = "a request does nothing until it is awaited"]
pub struct Executing {
    running: Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>,
}

impl Executing {
    fn new(client: Client, request: Request) -> Self {
        Self {
            running: Box::pin(async move { client.execute(request).await }),
        }
    }
}

impl Future for Executing {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.running.as_mut().poll(cx)
    }
}

impl fmt::Debug for Executing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executing").finish_non_exhaustive()
    }
}

/// With the feature `tower`. It is always ready: what makes a request wait is the pool, in the call. Layers that count
/// on tokio's timers or tasks (tower's `timeout`, `rate_limit` and `buffer`) need its runtime; in the place of the first
/// there is [`RequestBuilder::timeout`](super::RequestBuilder::timeout), or `heist_sync::time::timeout` in a `map_future`.
///
/// ```
/// # fn main() -> Result<(), heist_net::http::Error> {
/// use heist_net::http::{Client, Request, Response};
/// use tower::{Service, ServiceBuilder};
///
/// let client = Client::builder().build()?;
/// let service = ServiceBuilder::new()
///     .concurrency_limit(8)
///     .map_request(|mut request: Request| {
///         let headers = request.headers_mut();
///         headers.insert("x-client", http::HeaderValue::from_static("heist"));
///         request
///     })
///     .service(client);
/// # fn is_service<S: Service<Request, Response = Response>>(_: S) {}
/// # is_service(service);
/// # Ok(())
/// # }
/// ```
impl Service<Request> for Client {
    type Response = Response;
    type Error = Error;
    type Future = Executing;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Executing {
        Executing::new(self.clone(), request)
    }
}

/// As that of [`Client`], for a client that is only borrowed.
impl Service<Request> for &'_ Client {
    type Response = Response;
    type Error = Error;
    type Future = Executing;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Executing {
        Executing::new((*self).clone(), request)
    }
}
