//! The client: settings and a pool, shared by its clones.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::builder::ClientBuilder;
#[cfg(feature = "cookies")]
use super::cookie::Provider;
use super::deadline::{Deadline, Silence};
use super::error::Error;
use super::exchange::{Clocks, Config, exchange};
use super::link::Link;
use super::pool::{Pool, PoolLimits};
use super::redirect::{Policy, becomes_get, follow};
use super::request::Request;
use super::request_builder::RequestBuilder;
use super::response::Response;
use super::url::IntoUrl;

/// An HTTP client with a pool of connections. Clones are cheap and share the pool.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use heist_net::http::Client;
/// use std::time::Duration;
///
/// let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
/// let mut response = client.get("http://example.com/").send().await?;
/// println!("{} from {:?}", response.status(), response.remote_addr());
/// while let Some(piece) = response.chunk().await? {
///     println!("{} bytes", piece.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    timeouts: Timeouts,
    redirect: Policy,
    pool: Arc<Pool<Link>>,
}

/// The clocks that every request of a client gets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeouts {
    pub(super) total: Option<Duration>,
    pub(super) read: Option<Duration>,
    pub(super) pool: Option<Duration>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client with the defaults of [`ClientBuilder`].
    ///
    /// # Panics
    ///
    /// Never: the defaults are valid.
    #[must_use]
    pub fn new() -> Self {
        ClientBuilder::new()
            .build()
            .expect("the default settings are valid")
    }

    /// The settings of a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(super) fn new_with(
        config: Config,
        timeouts: Timeouts,
        redirect: Policy,
        limits: PoolLimits,
    ) -> Self {
        let pool = Pool::new(limits);
        Self {
            inner: Arc::new(Inner {
                config,
                timeouts,
                redirect,
                pool,
            }),
        }
    }

    /// A GET request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A HEAD request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request of any method except CONNECT, which makes a tunnel and not a response.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into_url())
    }

    /// Sends a request; [`RequestBuilder::send`] does so too, and says more.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn execute(&self, mut request: Request) -> Result<Response, Error> {
        let inner = &*self.inner;
        request.prepare()?;
        let mut clocks = Clocks {
            total: Deadline::after(request.timeout.or(inner.timeouts.total)),
            silence: Silence::new(inner.timeouts.read),
            turn: inner.timeouts.pool,
        };
        for followed in 0.. {
            #[cfg(feature = "cookies")]
            let lent = (inner.config.cookies.as_ref()).is_some_and(|it| it.lend(&mut request));
            let exchange = exchange(&inner.config, &inner.pool, &mut request, &mut clocks);
            let (received, remote, carrier) = exchange.await?;
            #[cfg(feature = "cookies")]
            if let Some(cookies) = &inner.config.cookies {
                cookies.store(&received.head, &request.url);
                if lent {
                    Provider::take_back(&mut request);
                }
            }
            let status = received.head.status();
            let location = received.head.get("location");
            let next = inner
                .redirect
                .next_url(followed, &request.url, status, location)?;
            // A stream that was sent cannot go anywhere else.
            let next = next.filter(|_| !request.is_body_spent() || becomes_get(&request, status));
            let Some(next) = next else {
                return Response::new(
                    received,
                    request.url,
                    remote,
                    carrier,
                    clocks,
                    &inner.config,
                );
            };
            // A redirect's body is small and mostly came with its head; then its connection is in
            // the pool already. What is still under way is not worth waiting for.
            drop(carrier);
            follow(&mut request, status, next);
        }
        unreachable!("the redirect policy has a limit")
    }
}
