//! The client: settings and a pool, shared by its clones.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::url::Url;
use heist_runtime::time::{Instant, Timer};
use http::Method;

use super::builder::ClientBuilder;
use super::claim::Connections;
#[cfg(feature = "cookies")]
use super::cookie::Provider;
use super::deadline::Clocks;
use super::error::{Error, Phase};
use super::exchange::{Config, Outcome, exchange};
#[cfg(feature = "http2")]
use super::h2::Origins;
use super::metrics::Metrics;
use super::pool::{Pool, PoolLimits};
use super::prewarm::prewarm;
use super::redirect::{Policy, becomes_get, follow};
use super::request::Request;
use super::request_builder::RequestBuilder;
use super::response::{Answer, Response};
use super::retry::Retry;
use super::trace::Trace;
use super::url::{IntoUrl, check_scheme, strip_credentials};

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
    rules: Rules,
    connections: Connections,
}

/// What is done about requests beyond a single exchange.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) timeouts: Timeouts,
    pub(super) redirect: Policy,
    /// Whether a redirected request tells where it comes from.
    pub(super) referer: bool,
    pub(super) retry: Retry,
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

    pub(super) fn new_with(config: Config, rules: Rules, limits: PoolLimits) -> Self {
        let pool = Pool::new(limits);
        let connections = Connections {
            #[cfg(feature = "http2")]
            shared: Origins::new(pool.clone()),
            pool,
        };
        Self {
            inner: Arc::new(Inner {
                config,
                rules,
                connections,
            }),
        }
    }

    /// What this client and its clones have done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let Inner {
            config,
            connections,
            ..
        } = &*self.inner;
        config.counters.snapshot(connections.pool.closed())
    }

    /// Opens connections for a URL's host, so that there are `count` that requests can use at once. Returns how many
    /// there are; fewer than asked for when a limit says so.
    ///
    /// # Errors
    ///
    /// That of a connection which could not be opened, after all have been tried; the others are kept.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connections that it has opened or taken.
    pub async fn prewarm(&self, url: impl IntoUrl, count: usize) -> Result<usize, Error> {
        let inner = &*self.inner;
        let mut url = url.into_url()?;
        check_scheme(&url, Phase::Build)?;
        strip_credentials(&mut url);
        prewarm(&inner.config, &inner.connections, url, count).await
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
    // An async function would keep its arguments twice: as they came, and as its variables.
    #[expect(clippy::manual_async_fn, reason = "the future is half the size")]
    pub fn execute(
        &self,
        mut request: Request,
    ) -> impl Future<Output = Result<Response, Error>> + Send {
        async move {
            let answer = self.answer(&mut request).await?;
            self.response(answer, request.url)
        }
    }

    /// Runs a request up to the head of its response.
    pub(super) async fn answer(&self, request: &mut Request) -> Result<Box<Answer>, Error> {
        let Inner { config, rules, .. } = &*self.inner;
        request.prepare()?;
        config.check_secure(&request.url, Phase::Build)?;
        config.counters.requests.add(1);
        rules.retry.begin();
        let mut clocks = rules.timeouts.start(request, config.head_timeout);
        clocks.trace = Trace::begin(request);
        let scope = clocks.trace.scope();
        let outcome = scope.around(self.inner.run(request, &mut clocks)).await;
        match outcome {
            Ok((received, remote, flow)) => {
                clocks.trace.answered(&received.head, remote);
                Ok(Answer::new(received, remote, flow, clocks))
            }
            Err(error) => {
                clocks.trace.failed(&error);
                Err(error)
            }
        }
    }

    /// What the caller gets of an answer from this URL.
    pub(super) fn response(&self, answer: Box<Answer>, url: Url) -> Result<Response, Error> {
        Response::new(answer, url, &self.inner.config)
    }
}

/// What follows an exchange.
enum Next {
    /// Its outcome is what the caller gets.
    Nothing,
    /// The request is another now, and is sent at once.
    Redirect,
    /// It is sent again at this time.
    Retry(Instant),
}

impl Inner {
    /// Runs a request up to the head of the response that its caller gets, over redirects and retries.
    async fn run(&self, request: &mut Request, clocks: &mut Clocks) -> Outcome {
        let (mut visited, mut retries) = (Vec::new(), 0);
        loop {
            let again = {
                #[cfg(feature = "cookies")]
                let lent = (self.config.cookies.as_ref()).is_some_and(|it| it.lend(request));
                let outcome = exchange(&self.config, &self.connections, request, clocks).await;
                #[cfg(feature = "cookies")]
                self.keep_cookies(request, &outcome, lent);
                match self.next(request, &outcome, &mut visited, retries, clocks)? {
                    Next::Nothing => return outcome,
                    Next::Redirect => continue,
                    Next::Retry(at) => at,
                }
                // What came goes here. Its connection is worth less than the time it would take to read the rest.
            };
            retries += 1;
            Timer::new(again).await;
        }
    }

    #[cfg(feature = "cookies")]
    fn keep_cookies(&self, request: &mut Request, outcome: &Outcome, lent: bool) {
        let Some(cookies) = &self.config.cookies else {
            return;
        };
        if let Ok((received, ..)) = outcome {
            cookies.store(&received.head, &request.url);
        }
        if lent {
            Provider::take_back(request);
        }
    }

    /// Decides what follows, and makes the request that which is sent next.
    fn next(
        &self,
        request: &mut Request,
        outcome: &Outcome,
        visited: &mut Vec<Url>,
        retries: u32,
        clocks: &mut Clocks,
    ) -> Result<Next, Error> {
        let Self { config, rules, .. } = self;
        if let Some(again) = rules.repeat_at(request, outcome, retries, clocks) {
            config.counters.retries.add(1);
            clocks.trace.repeats(outcome, again);
            return Ok(Next::Retry(again));
        }
        let Ok((received, ..)) = outcome else {
            return Ok(Next::Nothing);
        };
        let status = received.head.status();
        if !status.is_redirection() {
            return Ok(Next::Nothing);
        }
        let location = received.head.get("location");
        let (from, headers) = (&request.url, &request.headers);
        let next = (rules.redirect).next_url(visited, from, headers, status, location)?;
        // A stream that was sent cannot go anywhere else.
        let next = next.filter(|_| !request.is_body_spent() || becomes_get(request, status));
        let Some(next) = next else {
            return Ok(Next::Nothing);
        };
        config.check_secure(&next, Phase::Redirect)?;
        // A redirect's body is small and mostly came with its head; then its connection is in the pool already. What is
        // still under way is not worth waiting for.
        config.counters.redirects.add(1);
        clocks.trace.redirects(status, &next);
        follow(request, status, next, rules.referer);
        Ok(Next::Redirect)
    }
}

impl Rules {
    /// When a request is to be sent again that came to this, if it is.
    fn repeat_at(
        &self,
        request: &Request,
        outcome: &Outcome,
        done: u32,
        clocks: &Clocks,
    ) -> Option<Instant> {
        if request.is_body_spent() {
            return None;
        }
        let idempotent = request.is_idempotent();
        let wait = match outcome {
            Ok((received, ..)) => self.retry.after_answer(done, &received.head, idempotent),
            Err(error) => self.retry.after_failure(done, error, idempotent),
        };
        clocks.total.allows(wait?)
    }
}

impl Timeouts {
    /// The clocks of a request that begins now.
    fn start(&self, request: &Request, head: Option<Duration>) -> Clocks {
        let total = request.timeout.or(self.total);
        Clocks::start(total, self.pool, self.read, head)
    }
}
