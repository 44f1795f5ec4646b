//! The frontier in Redis.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "https")]
use redis::ConnectionAddr;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, IntoConnectionInfo};

use super::link::Trouble;
use super::member::Membership;
use super::server::RedisRemote;
#[cfg(feature = "https")]
use super::tls::Certificates;
use super::trouble::describe;

/// How long a crawl that is over is remembered unless told otherwise.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// A frontier in Redis (or Valkey), which any number of crawlers share, on any number of machines.
///
/// A host belongs to one crawler at a time, so that [`Politeness`](crate::Politeness) towards it holds across all of
/// them. When a crawler dies, what it had goes to the others once its lease has run out. What was found is known to
/// all, and the limits of pages, pages per host, bytes and depth hold for all together, exactly. Crawlers may come and
/// go at any moment: nothing is lost, and nothing is fetched twice but what was in flight. A crawl of which all
/// crawlers have ended goes on with the next one. When nothing is left to do, it is remembered for a while
/// ([`keep`](Self::keep)) and then forgotten.
///
/// What holds for each crawler by itself: the limit of time, [`per_address`](crate::Politeness::per_address) and
/// [`address_delay`](crate::Politeness::address_delay), and
/// [`unique_content`](crate::CrawlerBuilder::unique_content).
///
/// ```no_run
/// use heist_crawler::{Crawler, RedisFrontier};
///
/// heist::block_on(async {
///     let frontier = RedisFrontier::new("redis://127.0.0.1/")?.name("docs")?;
///     frontier.check().await?;
///     // The same on every machine.
///     let crawl = Crawler::builder().seed("https://example.org/")?.max_pages(1000).shared(frontier).build()?;
///     println!("{}", crawl.run().await?);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedisFrontier {
    server: ConnectionInfo,
    name: String,
    lease: Duration,
    keep: Option<Duration>,
    #[cfg(feature = "https")]
    certificates: Certificates,
    notice: Arc<dyn Fn(&str) + Send + Sync>,
}

impl RedisFrontier {
    /// The server at `url`: `redis://[[user]:password@]host[:port][/database]`, the same with `rediss://` for TLS
    /// (feature `https`), or `redis+unix:///path/of/the.sock[?db=database&user=...&pass=...]`. Nothing is connected yet.
    ///
    /// With TLS the certificates of the system are trusted, unless there are others
    /// ([`root_certificates`](Self::root_certificates)).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when it is no such URL.
    pub fn new(url: &str) -> io::Result<Self> {
        let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        if cfg!(not(feature = "https"))
            && ["rediss:", "valkeys:"]
                .iter()
                .any(|tls| url.starts_with(tls))
        {
            return Err(wrong(
                "this program was built without TLS (feature `https`); use redis:// over a private network".to_owned(),
            ));
        }
        // The URL may hold a password, so no error quotes it.
        let server = url.into_connection_info().map_err(|error| {
            wrong(format!(
                "no URL of a Redis server ({}); write redis://host:port/database, rediss:// for TLS, or \
                 redis+unix:///path",
                describe(&error)
            ))
        })?;
        #[cfg(feature = "https")]
        if let ConnectionAddr::TcpTls { insecure: true, .. } = server.addr() {
            return Err(wrong(
                "a server that is not checked may be anybody's: leave `#insecure` out, and name the authority of a \
                 private certificate with `frontier-ca`"
                    .to_owned(),
            ));
        }
        let settings = TcpSettings::default().set_nodelay(true);
        Ok(Self {
            server: server.set_tcp_settings(settings),
            name: "crawl".to_owned(),
            lease: Duration::from_secs(30),
            keep: Some(KEEP),
            #[cfg(feature = "https")]
            certificates: Certificates::default(),
            notice: Arc::new(|_| {}),
        })
    }

    /// The name of the crawl, by which its crawlers find each other: all keys begin with `heist:{name}:`. The default
    /// is `crawl`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] unless it is 1 to 200 letters, digits and signs, braces not among them.
    pub fn name(mut self, name: impl Into<String>) -> io::Result<Self> {
        let name = name.into();
        let good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        if !(1..=200).contains(&name.len()) || !name.bytes().all(good) {
            let text = "the name of a crawl is 1 to 200 letters, digits and signs, without spaces and braces";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.name = name;
        Ok(self)
    }

    /// How long what a crawler had stays its own when nothing is heard from it, from a second to an hour. The default
    /// is 30 seconds. A crawler that cannot reach the server for nine tenths of that gives up what is under way.
    #[must_use]
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self
    }

    /// Trusts the server if one of these certificates vouches for it, and no others: one or more in PEM.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when there are none in `pem`, or the URL is not `rediss://`.
    #[cfg(feature = "https")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> io::Result<Self> {
        self.wants_tls()?;
        self.certificates.trust(pem.into())?;
        Ok(self)
    }

    /// Shows the server this certificate, with what vouches for it behind it, and its private key, both in PEM. A
    /// server of Redis that speaks TLS wants one unless it is told `tls-auth-clients no`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when there are none in them, or the URL is not `rediss://`.
    #[cfg(feature = "https")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> io::Result<Self> {
        self.wants_tls()?;
        self.certificates.show(certificate.into(), key.into())?;
        Ok(self)
    }

    #[cfg(feature = "https")]
    fn wants_tls(&self) -> io::Result<()> {
        if matches!(self.server.addr(), ConnectionAddr::TcpTls { .. }) {
            return Ok(());
        }
        let text = "certificates are for TLS: write rediss:// in the URL";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// For how long the server remembers a crawl in which nothing is left to do: a week by default, for ever with `None`.
    /// A crawler that comes in this time ends at once, and whatever its seeds are it fetches nothing; after it, the
    /// crawl begins anew.
    ///
    /// A crawl that was stopped, or has ended at a limit of pages, has something left to do, and is not forgotten before
    /// somebody asks for that ([`clear`](Self::clear)).
    #[must_use]
    pub fn keep(mut self, time: Option<Duration>) -> Self {
        // A hundred years are for ever to a server that counts milliseconds.
        self.keep = time.filter(|time| time.as_secs() < 100 * 365 * 24 * 3600);
        self
    }

    /// Calls a function when the server cannot be reached, and when it can again, with a sentence for people.
    #[must_use]
    pub fn on_notice(mut self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notice = Arc::new(notice);
        self
    }

    /// Connects once, so that a wrong address or password is found out before a crawl begins.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::PermissionDenied`] when the server does not let us in, and those of connecting.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    pub async fn check(&self) -> io::Result<()> {
        self.ask(|remote| remote.connection().map(|_| ())).await
    }

    /// Has the server forget the crawl, whatever is left to do, and says whether there was one. No crawler may be at
    /// work on it.
    ///
    /// Cut short, by a crash for instance, it is brought to its end by whoever joins the crawl next.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] while a crawler is at work, or was killed less than its
    /// [`lease`](Self::lease) ago; [`io::ErrorKind::PermissionDenied`] when the server does not let us in; and those of
    /// connecting.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    ///
    /// ```no_run
    /// # use heist_crawler::RedisFrontier;
    /// # heist::block_on(async {
    /// let frontier = RedisFrontier::new("redis://127.0.0.1/")?.name("docs")?;
    /// let there_was_one = frontier.clear().await?;
    /// # let _ = there_was_one;
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn clear(&self) -> io::Result<bool> {
        self.ask(RedisRemote::clear).await
    }

    /// Does something with a connection of its own, on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut RedisRemote) -> Result<T, Trouble> + Send + 'static,
    ) -> io::Result<T> {
        let mut remote = self.remote([-1; 4]);
        let name = self.server_name();
        let gone = || io::Error::other("the session has expired");
        match heist::spawn_blocking(move || question(&mut remote)).await {
            Ok(answer) => answer.map_err(|trouble| {
                let error = match trouble {
                    Trouble::Passing(error) | Trouble::Final(error) => error,
                    Trouble::Gone => gone(),
                };
                let text = format!("cannot use the frontier {name}: {error}");
                io::Error::new(error.kind(), text)
            }),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// What a crawl needs to join: with its limits of pages, pages per host, bytes, and links from a seed.
    pub(crate) fn membership(self, limits: [Option<u64>; 4]) -> Membership {
        let limits =
            limits.map(|limit| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1)));
        Membership {
            remote: Box::new(self.remote(limits)),
            lease: self.lease,
            name: self.server_name(),
            notice: self.notice,
        }
    }

    fn remote(&self, limits: [i64; 4]) -> RedisRemote {
        RedisRemote {
            server: self.server.clone(),
            prefix: format!("heist:{{{}}}:", self.name),
            lease: self.lease,
            keep: self.keep,
            #[cfg(feature = "https")]
            certificates: self.certificates.clone(),
            limits,
            connected: None,
        }
    }

    /// Without password.
    fn server_name(&self) -> String {
        format!("`{}` in Redis at {}", self.name, self.server.addr())
    }
}

impl fmt::Debug for RedisFrontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFrontier")
            .field("server", &self.server_name())
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_server_is_refused_and_no_password_is_told() {
        for url in [
            "",
            "127.0.0.1",
            "http://127.0.0.1/",
            "redis://secret@:x/",
            "rediss://secret@host:x/",
        ] {
            let error = RedisFrontier::new(url).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains("redis://"), "{error}");
        }
        let error = RedisFrontier::new("rediss://secret@host/#insecure").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let frontier = RedisFrontier::new("redis://me:secret@host:7000/3").unwrap();
        let shown = format!("{frontier:?}");
        assert!(
            shown.contains("host:7000") && !shown.contains("secret"),
            "{shown}"
        );
        for name in ["", "a b", "{a}", "ä"] {
            let frontier = RedisFrontier::new("redis+unix:///run/redis.sock").unwrap();
            assert!(frontier.name(name).is_err(), "{name:?}");
        }
    }
}
