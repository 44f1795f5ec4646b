//! Whatever turns a name into addresses.

use std::error::Error as StdError;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_sync::stream::Stream;

use super::name::Name;

/// Any error of a resolver.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The addresses of a name, best first. A port of 0 stands for the port that is to be connected to.
pub type Addrs = Box<dyn Iterator<Item = SocketAddr> + Send>;

/// A lookup in progress.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Addrs, BoxError>> + Send>>;

/// A lookup whose addresses come in several parts.
pub type ResolvingParts = Pin<Box<dyn Stream<Item = Result<Addrs, BoxError>> + Send>>;

/// Turns names into addresses: reqwest's trait, for resolvers of one's own.
///
/// ```
/// use heist_net::dns::{Addrs, Name, Resolve, Resolving};
/// use heist_net::http::Client;
/// use std::net::SocketAddr;
/// use std::sync::Arc;
///
/// /// Everything is on this machine.
/// struct Here;
///
/// impl Resolve for Here {
///     fn resolve(&self, _: Name) -> Resolving {
///         let here = SocketAddr::from(([127, 0, 0, 1], 0));
///         Box::pin(async move { Ok(Box::new(std::iter::once(here)) as Addrs) })
///     }
/// }
///
/// let client = Client::builder().dns_resolver(Arc::new(Here)).build()?;
/// # Ok::<(), heist_net::http::Error>(())
/// ```
///
/// # Cancel safety
///
/// Whoever connects may drop a lookup at any time.
pub trait Resolve: Send + Sync {
    /// Looks a name up: all of its addresses.
    fn resolve(&self, name: Name) -> Resolving;

    /// Looks a name up and yields addresses as they become known, so that connecting can begin before the last
    /// server has answered ([RFC 8305], section 3). Errors come after all addresses, and matter only if there was
    /// none. (reqwest has no such method.)
    ///
    /// By default, one part with everything.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    fn resolve_parts(&self, name: Name) -> ResolvingParts {
        Box::pin(Whole(Some(self.resolve(name))))
    }
}

/// One part with everything.
struct Whole(Option<Resolving>);

impl Stream for Whole {
    type Item = Result<Addrs, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(resolving) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let outcome = ready!(resolving.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(outcome))
    }
}

impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn resolve(&self, name: Name) -> Resolving {
        (**self).resolve(name)
    }

    fn resolve_parts(&self, name: Name) -> ResolvingParts {
        (**self).resolve_parts(name)
    }
}
