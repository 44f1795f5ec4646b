//! The system's resolver, on the blocking pool.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use heist_runtime::spawn_blocking;
use heist_sync::Semaphore;

use super::error::{Error, Kind};
use super::name::Name;
use super::resolve::{Addrs, Resolve, Resolving};
use super::shared::{Shared, Ticket};

/// What a lookup yields.
type Outcome = Result<Arc<[IpAddr]>, Error>;

/// The system's resolver, `getaddrinfo(3)`, with all that the machine is set up for: `nsswitch.conf`, `/etc/hosts`,
/// multicast DNS and so on. It is what [`Client`](crate::http::Client) uses by default.
///
/// It blocks a thread for each name, so only some are looked up at a time, and lookups of the same name at the same
/// time are one. There is no cache: the function does not tell how long an answer is good for.
///
/// Clones share all of that.
///
/// # Cancel safety
///
/// A lookup that is dropped gives up its place in the queue. One that has begun goes on on its thread, and keeps its
/// place there, until the system has answered; `getaddrinfo(3)` cannot be stopped.
///
/// ```
/// use heist_net::dns::SystemResolver;
///
/// # heist_runtime::block_on(async {
/// let resolver = SystemResolver::new();
/// let addresses = resolver.lookup_ip("localhost").await?;
/// assert!(addresses.iter().all(|address| address.is_loopback()));
/// # Ok::<(), heist_net::dns::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SystemResolver {
    shared: Arc<Shared<Name, Outcome>>,
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemResolver {
    /// How many names are looked up at a time, unless one says otherwise.
    const PLACES: usize = 32;

    /// A resolver that looks up 32 names at a time.
    #[must_use]
    pub fn new() -> Self {
        Self::with_concurrency(Self::PLACES)
    }

    /// A resolver that looks up so many names at a time, at least one. Others wait in turn.
    #[must_use]
    pub fn with_concurrency(lookups: usize) -> Self {
        Self {
            shared: Shared::new(0),
            places: Arc::new(Semaphore::new(lookups.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// The addresses of a host, in the order of the system (RFC 6724).
    ///
    /// # Errors
    ///
    /// When it is no name, or has no address, or the system's resolver fails.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As described at the type.
    pub async fn lookup_ip(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        self.look_up(&host.parse()?).await
    }

    async fn look_up(&self, name: &Name) -> Result<Vec<IpAddr>, Error> {
        if let Some(known) = name.known() {
            return known.addresses(name);
        }
        let work = |ticket| ask(name.clone(), ticket, Arc::clone(&self.places));
        match self.shared.get(name, work).await {
            Some(outcome) => outcome.map(|addresses| addresses.to_vec()),
            None => Err(Error::new(name.as_str(), Kind::Lost)),
        }
    }
}

/// Waits for a place, and leaves the rest to a thread.
async fn ask(name: Name, ticket: Ticket<Name, Outcome>, places: Arc<Semaphore>) {
    let Ok(place) = places.acquire_owned().await else {
        return;
    };
    // From here on the thread holds the lookup, so that whoever comes back for it finds it.
    let Some(kept) = ticket.keep() else {
        return;
    };
    drop(spawn_blocking(move || {
        let outcome = ask_system(&name);
        ticket.land(outcome, None);
        drop((kept, place));
    }));
}

fn ask_system(name: &Name) -> Outcome {
    let addresses = (name.as_str(), 0).to_socket_addrs();
    let addresses = addresses.map_err(|error| Error::new(name.as_str(), kind_of(error)))?;
    let addresses: Arc<[IpAddr]> = addresses.map(|address| address.ip()).collect();
    if addresses.is_empty() {
        return Err(Error::new(name.as_str(), Kind::NoAddress));
    }
    Ok(addresses)
}

/// The standard library keeps no code, only the text of `gai_strerror(3)`: of glibc, and of musl. Other texts are
/// passed on.
fn kind_of(error: io::Error) -> Kind {
    let text = error.to_string();
    let says = |texts: &[&str]| texts.iter().any(|known| text.ends_with(known));
    if says(&["Name or service not known", "Name does not resolve"]) {
        Kind::NoSuchName
    } else if says(&[
        "No address associated with hostname",
        "Name has no usable address",
    ]) {
        Kind::NoAddress
    } else if says(&["Temporary failure in name resolution", "Try again"]) {
        Kind::ServerFailure
    } else {
        Kind::Io(error)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.look_up(&name).await?.into_iter();
            Ok(Box::new(addresses.map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, running) = self.shared.counts();
        f.debug_struct("SystemResolver")
            .field("running", &running)
            .field("free_places", &self.places.available_permits())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_told_apart() {
        let kind = |text: &str| {
            let whole = format!("failed to lookup address information: {text}");
            Error::new("a", kind_of(io::Error::other(whole)))
        };
        assert!(kind("Name or service not known").is_no_such_name());
        assert!(kind("No address associated with hostname").is_not_found());
        assert!(!kind("No address associated with hostname").is_no_such_name());
        assert!(kind("Temporary failure in name resolution").is_server_failure());
        let other = kind("Memory allocation failure");
        assert!(!other.is_not_found() && other.to_string().contains("Memory"));
    }
}
