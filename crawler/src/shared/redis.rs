//! The frontier in Redis.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, Connection, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, Value};

use super::link::{Joined, Remote, Trouble};
use super::member::Membership;

/// What the keys of a crawl mean. Another number is another crawl.
const VERSION: &str = "1";

const EXCHANGE: &str = include_str!("exchange.lua");
const JOIN: &str = include_str!("join.lua");

/// A frontier in Redis (or Valkey), which any number of crawlers share, on any number of machines.
///
/// A host belongs to one crawler at a time, so that [`Politeness`](crate::Politeness) towards it holds across all of
/// them. When a crawler dies, what it had goes to the others once its lease has run out. What was found is known to
/// all, and the limits of pages, pages per host, bytes and depth hold for all together, exactly. Crawlers may come and
/// go at any moment: nothing is lost, and nothing is fetched twice but what was in flight. A crawl of which all
/// crawlers have ended goes on with the next one.
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
    notice: Arc<dyn Fn(&str) + Send + Sync>,
}

impl RedisFrontier {
    /// The server at `url`: `redis://[[user]:password@]host[:port][/database]`, or
    /// `redis+unix:///path/of/the.sock[?db=database&user=...&pass=...]`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when it is no such URL.
    pub fn new(url: &str) -> io::Result<Self> {
        let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        // The URL may hold a password, so no error quotes it.
        let server = url.into_connection_info().map_err(|error| {
            wrong(format!(
                "no URL of a Redis server ({}); write redis://host:port/database, or redis+unix:///path",
                describe(&error)
            ))
        })?;
        if !server.addr().is_supported() {
            return Err(wrong(
                "TLS to Redis is not supported; use redis:// over a private network, or through stunnel".to_owned(),
            ));
        }
        let settings = TcpSettings::default().set_nodelay(true);
        Ok(Self {
            server: server.set_tcp_settings(settings),
            name: "crawl".to_owned(),
            lease: Duration::from_secs(30),
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
        let mut remote = self.remote([-1; 4]);
        let name = self.server_name();
        let checked = heist::spawn_blocking(move || remote.connection().map(|_| ())).await;
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Trouble::Passing(error) | Trouble::Final(error))) => Err(io::Error::new(
                error.kind(),
                format!("cannot use the frontier {name}: {error}"),
            )),
            Ok(Err(Trouble::Gone)) => Ok(()),
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
    limits: [i64; 4],
    connected: Option<Connected>,
}

struct Connected {
    connection: Connection,
    /// The names under which the server has the scripts.
    exchange: String,
    join: String,
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
        let client = Client::open(self.server.clone()).map_err(|error| trouble(&error))?;
        let mut connection = client
            .get_connection_with_timeout(patience)
            .map_err(|error| trouble(&error))?;
        connection
            .set_read_timeout(Some(patience))
            .and_then(|()| connection.set_write_timeout(Some(patience)))
            .map_err(|error| trouble(&error))?;
        let mut load = |script: &str| {
            let mut command = redis::cmd("SCRIPT");
            command.arg("LOAD").arg(script);
            command
                .query::<String>(&mut connection)
                .map_err(|error| trouble(&error))
        };
        let (exchange, join) = (load(EXCHANGE)?, load(JOIN)?);
        Ok(Connected {
            connection,
            exchange,
            join,
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
        let outcome = command
            .query::<Value>(&mut connected.connection)
            .map_err(|error| trouble(&error));
        if matches!(outcome, Err(Trouble::Passing(_) | Trouble::Final(_))) {
            self.connected = None;
        }
        outcome
    }
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
        let answer = self.run(|connected| &connected.join, &words)?;
        let (session, key) = redis::from_redis_value(answer).map_err(|_| nonsense())?;
        Ok(Joined { session, key })
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
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            refused("the server refuses the user or the password of the URL".to_owned())
        }
        ErrorKind::Io | ErrorKind::Parse => {
            let source = std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<io::Error>());
            let kind = source.map_or(io::ErrorKind::Other, io::Error::kind);
            Trouble::Passing(io::Error::new(kind, error.to_string()))
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
            "rediss://secret@host/",
        ] {
            let error = RedisFrontier::new(url).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains("redis://"), "{error}");
        }
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
