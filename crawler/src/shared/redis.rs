//! The frontier in Redis.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(feature = "https"))]
use redis::Client;
#[cfg(feature = "https")]
use redis::ConnectionAddr;
use redis::io::tcp::TcpSettings;
use redis::{Connection, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, Value};

use super::link::{Joined, Remote, Trouble};
use super::member::Membership;
#[cfg(feature = "https")]
use super::tls::Certificates;

/// What the keys of a crawl mean. Another number is another crawl.
const VERSION: &str = "2";

/// How long a crawl that is over is remembered unless told otherwise.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Keys that are looked for, and marked, at a time: the server does nothing else meanwhile.
const KEYS_AT_A_TIME: usize = 1000;

const EXCHANGE: &str = include_str!("exchange.lua");
const JOIN: &str = include_str!("join.lua");
const FADE: &str = include_str!("fade.lua");

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

/// What an error says. The library's own words repeat themselves, and know little of what to do.
fn describe(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.to_string(),
    }
}

/// The connection, and what is needed for the next.
struct RedisRemote {
    server: ConnectionInfo,
    prefix: String,
    lease: Duration,
    keep: Option<Duration>,
    #[cfg(feature = "https")]
    certificates: Certificates,
    limits: [i64; 4],
    connected: Option<Connected>,
}

struct Connected {
    connection: Connection,
    /// The names under which the server has the scripts.
    exchange: String,
    join: String,
    fade: String,
}

impl RedisRemote {
    /// The connection, made if there is none.
    fn connection(&mut self) -> Result<&mut Connected, Trouble> {
        if self.connected.is_none() {
            self.connected = Some(self.connect()?);
        }
        let connected = self.connected.as_mut();
        Ok(connected.expect("it has just been made"))
    }

    fn connect(&self) -> Result<Connected, Trouble> {
        // Soon enough that a lease survives one connection that leads nowhere.
        let patience = (self.lease / 4).min(Duration::from_secs(5));
        #[cfg(feature = "https")]
        let client = self.certificates.client(&self.server);
        #[cfg(not(feature = "https"))]
        let client = Client::open(self.server.clone());
        let client = client.map_err(|error| trouble(&error))?;
        let mut connection = client
            .get_connection_with_timeout(patience)
            .map_err(|error| trouble(&error))?;
        connection
            .set_read_timeout(Some(patience))
            .and_then(|()| connection.set_write_timeout(Some(patience)))
            .map_err(|error| trouble(&error))?;
        // Who is not let in may say little, and would hear that the scripts are too long.
        redis::cmd("PING")
            .query::<Value>(&mut connection)
            .map_err(|error| trouble(&error))?;
        let mut load = |script: &str| {
            let mut command = redis::cmd("SCRIPT");
            command.arg("LOAD").arg(script);
            command
                .query::<String>(&mut connection)
                .map_err(|error| trouble(&error))
        };
        let (exchange, join, fade) = (load(EXCHANGE)?, load(JOIN)?, load(FADE)?);
        Ok(Connected {
            connection,
            exchange,
            join,
            fade,
        })
    }

    /// Runs a script. After trouble the next one has a connection of its own.
    fn run(
        &mut self,
        script: impl Fn(&Connected) -> &str,
        words: &[Vec<u8>],
    ) -> Result<Value, Trouble> {
        let prefix = self.prefix.clone();
        let connected = self.connection()?;
        let mut command = redis::cmd("EVALSHA");
        command.arg(script(connected)).arg(1).arg(prefix);
        for word in words {
            command.arg(&word[..]);
        }
        let outcome = command.query(&mut connected.connection);
        self.note(outcome)
    }

    /// After trouble the next command has a connection of its own.
    fn note<T>(&mut self, outcome: Result<T, RedisError>) -> Result<T, Trouble> {
        let outcome = outcome.map_err(|error| trouble(&error));
        if matches!(outcome, Err(Trouble::Passing(_) | Trouble::Final(_))) {
            self.connected = None;
        }
        outcome
    }

    /// Begins to forget the crawl at once, and does it. False when there is none.
    fn clear(&mut self) -> Result<bool, Trouble> {
        let answer = self.run(|connected| &connected.fade, &[b"clear".to_vec()])?;
        let moment: String = redis::from_redis_value(answer).map_err(|_| nonsense())?;
        if moment == "0" {
            return Ok(false);
        }
        self.mark(&moment)?;
        Ok(true)
    }

    /// Gives every key of the crawl the moment at which it is forgotten.
    fn mark(&mut self, moment: &str) -> Result<(), Trouble> {
        let mut cursor = 0u64;
        loop {
            let pattern = format!("{}*", literal(&self.prefix));
            let connected = self.connection()?;
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern);
            scan.arg("COUNT").arg(KEYS_AT_A_TIME);
            let found = scan.query::<(u64, Vec<Vec<u8>>)>(&mut connected.connection);
            let (next, keys) = self.note(found)?;
            for keys in keys.chunks(KEYS_AT_A_TIME) {
                let words = [&[b"mark".to_vec(), moment.into()], keys].concat();
                self.run(|connected| &connected.fade, &words)?;
            }
            cursor = next;
            if cursor == 0 {
                let words = [b"end".to_vec(), moment.into()];
                return self.run(|connected| &connected.fade, &words).map(|_| ());
            }
        }
    }
}

/// The pattern of keys that matches a text and nothing else.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

impl Remote for RedisRemote {
    fn join(&mut self, earlier: Option<u64>) -> Result<Joined, Trouble> {
        let key = uuid_like();
        let mut words = vec![
            VERSION.to_owned(),
            key,
            self.lease.as_millis().to_string(),
            earlier.map_or(String::new(), |session| session.to_string()),
        ];
        words.extend(self.limits.iter().map(i64::to_string));
        let words: Vec<_> = words.into_iter().map(String::into_bytes).collect();
        loop {
            let answer = self.run(|connected| &connected.join, &words)?;
            let (session, key, left): (u64, String, i64) =
                redis::from_redis_value(answer).map_err(|_| nonsense())?;
            if session > 0 {
                let remembered_for = u64::try_from(left).ok().map(Duration::from_millis);
                return Ok(Joined {
                    session,
                    key,
                    remembered_for,
                });
            }
            // Who was about to forget it has died.
            self.mark(&key)?;
        }
    }

    fn forget(&mut self) -> Result<(), Trouble> {
        let Some(keep) = self.keep else {
            return Ok(());
        };
        let words = [b"begin".to_vec(), keep.as_millis().to_string().into_bytes()];
        let answer = self.run(|connected| &connected.fade, &words)?;
        let moment: String = redis::from_redis_value(answer).map_err(|_| nonsense())?;
        if moment == "0" {
            return Ok(());
        }
        self.mark(&moment)
    }

    fn exchange(
        &mut self,
        session: u64,
        number: u64,
        words: &[Vec<u8>],
    ) -> Result<String, Trouble> {
        let head = [session, number, self.lease.as_millis() as u64];
        let head = head.map(|number| number.to_string().into_bytes());
        let words = [&head[..], words].concat();
        let answer = self.run(|connected| &connected.exchange, &words)?;
        redis::from_redis_value(answer).map_err(|_| nonsense())
    }
}

fn nonsense() -> Trouble {
    Trouble::Final(io::Error::new(
        io::ErrorKind::InvalidData,
        "the server answers something that the scripts of a frontier do not; is it Redis?",
    ))
}

/// A name that nobody foresees: random bits, of which the standard library has 64 for every new key.
fn uuid_like() -> String {
    use std::hash::{BuildHasher, RandomState};
    let bits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", bits(), bits())
}

/// What is behind an error. The library has it in an `Arc`, which is an error as well.
pub(super) fn cause(error: &RedisError) -> Option<&(dyn std::error::Error + 'static)> {
    let source = std::error::Error::source(error)?;
    match source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>() {
        Some(shared) => Some(&**shared),
        None => Some(source),
    }
}

/// Whether to try again.
fn trouble(error: &RedisError) -> Trouble {
    let text = describe(error);
    let passing = |text: String| Trouble::Passing(io::Error::other(text));
    let refused =
        |text: String| Trouble::Final(io::Error::new(io::ErrorKind::PermissionDenied, text));
    let fault = |text: String| Trouble::Final(io::Error::new(io::ErrorKind::InvalidInput, text));
    match error.code() {
        Some("GONE") => return Trouble::Gone,
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => {
            return refused(format!(
                "the server refuses us: {text}; give user and password in the URL"
            ));
        }
        Some("VERSION") => {
            return fault(format!(
                "another version of the program has begun this crawl (its keys are of version {text}); use another name"
            ));
        }
        Some("ALIVE") => {
            return Trouble::Final(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "crawlers are at work on it ({text}); stop them, and wait for the lease of those that were killed"
                ),
            ));
        }
        Some("FOREIGN") => return fault(format!("{text}; use another name")),
        Some("LIMITS") => {
            let (name, theirs) = text.split_once(' ').unwrap_or((&text, "?"));
            let flag = match name {
                "pages" => "max-pages",
                "per_host" => "max-pages-per-host",
                "bytes" => "max-bytes",
                _ => "max-depth",
            };
            let theirs = if theirs == "-1" { "no limit" } else { theirs };
            return fault(format!(
                "the crawlers at work have another `{flag}` ({theirs}): give all of them the same, or use another name"
            ));
        }
        Some("LEVELS") => {
            return fault(
                "this crawl was begun with a limit of depth and cannot go on without, or the other way round; \
                 use another name"
                    .to_owned(),
            );
        }
        // What passes by itself, or when somebody comes to help.
        Some(
            "LOADING" | "BUSY" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN"
            | "NOSCRIPT" | "OOM" | "MISCONF" | "NOREPLICAS" | "UNKILLABLE",
        ) => return passing(error.to_string()),
        _ => {}
    }
    #[cfg(feature = "https")]
    if let Some(error) = super::tls::explain(error) {
        return Trouble::Final(error);
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            refused("the server refuses the user or the password of the URL".to_owned())
        }
        ErrorKind::Io | ErrorKind::Parse => {
            let kind = cause(error).and_then(|cause| cause.downcast_ref::<io::Error>());
            let kind = kind.map_or(io::ErrorKind::Other, io::Error::kind);
            let text = match kind {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    "it does not answer in time; is that Redis, with TLS if the URL says so?"
                        .to_owned()
                }
                _ => error.to_string(),
            };
            Trouble::Passing(io::Error::new(kind, text))
        }
        _ => Trouble::Final(io::Error::other(error.to_string())),
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
