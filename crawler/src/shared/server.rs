//! The server of a frontier: the connection to it, and the scripts that it runs.

use std::time::Duration;

#[cfg(not(feature = "https"))]
use redis::Client;
use redis::{Connection, ConnectionInfo, RedisError, Value};

use super::link::{Joined, Remote, Trouble};
#[cfg(feature = "https")]
use super::tls::Certificates;
use super::trouble::{nonsense, trouble};

/// What the keys of a crawl mean. Another number is another crawl.
const VERSION: &str = "2";

/// Keys that are looked for, and marked, at a time: the server does nothing else meanwhile.
const KEYS_AT_A_TIME: usize = 1000;

const EXCHANGE: &str = include_str!("exchange.lua");
const JOIN: &str = include_str!("join.lua");
const FADE: &str = include_str!("fade.lua");

/// The connection, and what is needed for the next.
pub(super) struct RedisRemote {
    pub(super) server: ConnectionInfo,
    pub(super) prefix: String,
    pub(super) lease: Duration,
    pub(super) keep: Option<Duration>,
    #[cfg(feature = "https")]
    pub(super) certificates: Certificates,
    pub(super) limits: [i64; 4],
    pub(super) connected: Option<Connected>,
}

pub(super) struct Connected {
    connection: Connection,
    /// The names under which the server has the scripts.
    exchange: String,
    join: String,
    fade: String,
}

impl RedisRemote {
    /// The connection, made if there is none.
    pub(super) fn connection(&mut self) -> Result<&mut Connected, Trouble> {
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
    pub(super) fn clear(&mut self) -> Result<bool, Trouble> {
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

/// A name that nobody foresees: random bits, of which the standard library has 64 for every new key.
fn uuid_like() -> String {
    use std::hash::{BuildHasher, RandomState};
    let bits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", bits(), bits())
}
