//! A store in memory with limits ([RFC 6265, sections 5.3 and 5.4], with the checks of 6265bis).
//!
//! Cookies lie together by *site*, which is what is registered below a public suffix: all that may match
//! a host is in one place, and no site gets more room by making up subdomains.
//!
//! [RFC 6265, sections 5.3 and 5.4]: https://www.rfc-editor.org/rfc/rfc6265#section-5.3

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::url::Url;
use http::HeaderValue;

use super::CookieStore;
use super::scope::{Place, domain_matches, is_public_suffix, path_matches};
use super::set_cookie::{Cookie, MaxAge, SameSite};

/// The longest that a cookie lives, whatever the server says (6265bis): 400 days.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How much may be kept. A server cannot make a client send more than what one site may keep.
#[derive(Debug, Clone, Copy)]
struct JarLimits {
    per_site: usize,
    bytes_per_site: usize,
    total: usize,
    bytes_total: usize,
}

const LIMITS: JarLimits = JarLimits {
    per_site: 180,
    bytes_per_site: 32 << 10,
    total: 3000,
    bytes_total: 4 << 20,
};

/// A store of cookies in memory.
///
/// It keeps up to 180 cookies and 32 KiB per site (what is registered below a [public suffix]), and 3,000
/// cookies and 4 MiB in all. Beyond that go expired ones first, then those of the site that are not
/// `Secure`, then whatever was sent least recently. A cookie lives for 400 days at most.
///
/// It refuses, as browsers do: cookies for a public suffix or another host's domain; `Secure` ones over
/// `http`, and such as would hide a `Secure` one; `SameSite=None` without `Secure`; and the prefixes
/// `__Secure-` and `__Host-` without what they promise.
///
/// # Examples
///
/// ```
/// use heist_net::http::cookie::{CookieStore, Jar};
///
/// let url = "http://example.com/a/b".parse()?;
/// let jar = Jar::default();
/// jar.add_cookie_str("session=1; Path=/a", &url);
/// assert_eq!(jar.cookies(&url).ok_or("none")?, "session=1");
/// assert_eq!(jar.cookies(&"http://example.com/".parse()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [public suffix]: https://publicsuffix.org/
#[derive(Default)]
pub struct Jar {
    sites: Mutex<Sites>,
    /// How many cookies there are. Every request asks, and most crawls are given none: then the lock, which all workers
    /// share, is not touched. It is written under the lock, and who knows of a cookie knows of this number as well.
    count: AtomicUsize,
}

#[derive(Default)]
struct Sites {
    sites: HashMap<Box<str>, Site>,
    count: usize,
    bytes: usize,
    /// Counts what happens, as a clock that never stands still.
    now: u64,
}

#[derive(Default)]
struct Site {
    cookies: Vec<Stored>,
    bytes: usize,
}

struct Stored {
    name: Box<str>,
    value: Box<str>,
    domain: Box<str>,
    /// The domain is one host, not also the names below it.
    host_only: bool,
    path: Box<str>,
    secure: bool,
    expires: Option<SystemTime>,
    created: u64,
    used: u64,
}

impl Jar {
    /// An empty jar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cookie as if a response from `url` had set it: `cookie` is the value of a `Set-Cookie` header.
    /// One that is to be refused is ignored.
    pub fn add_cookie_str(&self, cookie: &str, url: &Url) {
        if let (Some(cookie), Some(place)) = (Cookie::parse(cookie), Place::of(url)) {
            self.change(|sites| sites.add(&cookie, place, SystemTime::now(), LIMITS));
        }
    }

    /// How many cookies there are, expired ones included that nobody has met.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all cookies.
    pub fn clear(&self) {
        self.change(|sites| {
            (sites.count, sites.bytes) = (0, 0);
            sites.sites.clear();
        });
    }

    /// Does something under the lock.
    fn change<R>(&self, change: impl FnOnce(&mut Sites) -> R) -> R {
        let mut sites = self.lock();
        let result = change(&mut sites);
        self.count.store(sites.count, Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Sites> {
        // No code of others runs under it, so what a panic leaves is a jar like any other.
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CookieStore for Jar {
    fn set_cookies(&self, cookie_headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let Some(place) = Place::of(url) else { return };
        let now = SystemTime::now();
        let cookies: Vec<_> = cookie_headers.filter_map(Cookie::from_header).collect();
        self.change(|sites| {
            for cookie in &cookies {
                sites.add(cookie, place, now, LIMITS);
            }
        });
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let place = Place::of(url)?;
        let line = self.change(|sites| sites.line(place, SystemTime::now()))?;
        HeaderValue::try_from(line).ok()
    }
}

impl fmt::Debug for Jar {
    /// Without the cookies, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites = self.lock();
        f.debug_struct("Jar")
            .field("cookies", &sites.count)
            .field("sites", &sites.sites.len())
            .finish()
    }
}

impl Stored {
    /// The cookie to be stored, unless it is refused.
    fn new(cookie: &Cookie<'_>, place: Place<'_>, now: SystemTime, tick: u64) -> Option<Self> {
        let (domain, host_only) = domain_of(cookie, place)?;
        let path = match cookie.path {
            Some(path) if path.starts_with('/') => path,
            _ => place.folder(),
        };
        if cookie.secure && !place.secure {
            return None;
        }
        if cookie.same_site == Some(SameSite::None) && !cookie.secure {
            return None;
        }
        let is_rooted = host_only && path == "/" && cookie.path.is_some();
        if !keeps_its_prefix(cookie, is_rooted) {
            return None;
        }
        Some(Self {
            name: cookie.name.into(),
            value: cookie.value.into(),
            domain: domain.into(),
            host_only,
            path: path.into(),
            secure: cookie.secure,
            expires: expiry(cookie, now),
            created: tick,
            used: tick,
        })
    }

    fn is_for(&self, place: Place<'_>) -> bool {
        let host = if self.host_only {
            *self.domain == *place.host
        } else {
            place.is_in(&self.domain)
        };
        host && path_matches(place.path, &self.path) && (place.secure || !self.secure)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.host_only == other.host_only
            && self.path == other.path
    }

    /// Whether this one is `Secure` and `other`, which came over `http`, would be sent instead of it.
    fn is_hidden_by(&self, other: &Self, place: Place<'_>) -> bool {
        let related = domain_matches(&self.domain, &other.domain, place.is_name)
            || domain_matches(&other.domain, &self.domain, place.is_name);
        self.secure
            && !place.secure
            && self.name == other.name
            && related
            && path_matches(&other.path, &self.path)
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }
}

/// The domain of a cookie, and whether it is one host only; `None` if it is not this host's to name.
fn domain_of(cookie: &Cookie<'_>, place: Place<'_>) -> Option<(String, bool)> {
    let host = || place.host.to_owned();
    let Some(domain) = cookie.domain().map(str::to_ascii_lowercase) else {
        return Some((host(), true));
    };
    if domain == place.host {
        // A whole suffix can speak for itself only, and an address has no parts.
        return Some((domain, is_public_suffix(place.host) || !place.is_name));
    }
    let allowed = domain.is_ascii() && place.is_in(&domain) && !is_public_suffix(&domain);
    allowed.then_some((domain, false))
}

/// Whether what the name of a cookie promises holds. Case does not count: some servers do not look at it.
fn keeps_its_prefix(cookie: &Cookie<'_>, is_rooted: bool) -> bool {
    let starts = |text: &str, prefix: &str| {
        let front = text.get(..prefix.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(prefix))
    };
    let (secure, host) = ("__Secure-", "__Host-");
    if cookie.name.is_empty() {
        // It is sent as the value alone, and would look like a name.
        return !starts(cookie.value, secure) && !starts(cookie.value, host);
    }
    (cookie.secure || !starts(cookie.name, secure))
        && ((cookie.secure && is_rooted) || !starts(cookie.name, host))
}

fn expiry(cookie: &Cookie<'_>, now: SystemTime) -> Option<SystemTime> {
    let latest = now.checked_add(LONGEST_LIFE);
    match (cookie.max_age, cookie.expires) {
        (Some(MaxAge::Over), _) => Some(SystemTime::UNIX_EPOCH),
        (Some(MaxAge::Lives(age)), _) => now.checked_add(age.min(LONGEST_LIFE)),
        (None, Some(expires)) => Some(latest.map_or(expires, |latest| expires.min(latest))),
        (None, None) => None,
    }
}

impl Sites {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn add(&mut self, cookie: &Cookie<'_>, place: Place<'_>, now: SystemTime, limits: JarLimits) {
        let tick = self.tick();
        let Some(mut stored) = Stored::new(cookie, place, now, tick) else {
            return;
        };
        let key = place.site();
        if !self.sites.contains_key(key) {
            if stored.is_expired(now) {
                return;
            }
            self.sites.insert(key.into(), Site::default());
        }
        let Some(site) = self.sites.get_mut(key) else {
            return;
        };
        let hides = |known: &Stored| known.is_hidden_by(&stored, place);
        if site.cookies.iter().any(hides) {
            return;
        }
        let before = (site.cookies.len(), site.bytes);
        if let Some(old) = site.cookies.iter().position(|known| known.is_same(&stored)) {
            stored.created = site.remove(old).created;
        }
        if !stored.is_expired(now) {
            site.bytes += stored.bytes();
            site.cookies.push(stored);
            site.shrink(now, limits);
        }
        let after = (site.cookies.len(), site.bytes);
        if site.cookies.is_empty() {
            self.sites.remove(key);
        }
        self.count = self.count + after.0 - before.0;
        self.bytes = self.bytes + after.1 - before.1;
        if self.count > limits.total || self.bytes > limits.bytes_total {
            self.shrink(now, limits);
        }
    }

    /// Makes room, a tenth at a time, so that a full jar is not looked through for each new cookie.
    fn shrink(&mut self, now: SystemTime, limits: JarLimits) {
        let enough = |count: usize, bytes: usize| {
            count <= limits.total - limits.total / 10
                && bytes <= limits.bytes_total - limits.bytes_total / 10
        };
        let cookies = self.sites.values().flat_map(|site| &site.cookies);
        let mut by_use: Vec<_> = cookies
            .map(|cookie| {
                let used = if cookie.is_expired(now) {
                    0
                } else {
                    cookie.used
                };
                (used, cookie.bytes())
            })
            .collect();
        by_use.sort_unstable();
        let (mut count, mut bytes) = (self.count, self.bytes);
        let mut oldest_kept = 0;
        for (used, size) in by_use {
            if used > 0 && enough(count, bytes) {
                break;
            }
            (count, bytes) = (count - 1, bytes - size);
            oldest_kept = used + 1;
        }
        self.sites.retain(|_, site| {
            site.retain(|cookie| !cookie.is_expired(now) && cookie.used >= oldest_kept);
            !site.cookies.is_empty()
        });
        self.count = self.sites.values().map(|site| site.cookies.len()).sum();
        self.bytes = self.sites.values().map(|site| site.bytes).sum();
    }

    /// The cookies for a request, longer paths first, then older ones.
    fn line(&mut self, place: Place<'_>, now: SystemTime) -> Option<String> {
        let tick = self.tick();
        let site = self.sites.get_mut(place.site())?;
        let before = (site.cookies.len(), site.bytes);
        site.retain(|cookie| !cookie.is_expired(now));
        self.count -= before.0 - site.cookies.len();
        self.bytes -= before.1 - site.bytes;
        let mut found: Vec<&mut Stored> = (site.cookies.iter_mut())
            .filter(|cookie| cookie.is_for(place))
            .collect();
        found.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        let mut line = String::new();
        for cookie in &mut found {
            cookie.used = tick;
            if !line.is_empty() {
                line.push_str("; ");
            }
            if !cookie.name.is_empty() {
                line.push_str(&cookie.name);
                line.push('=');
            }
            line.push_str(&cookie.value);
        }
        let is_any = !found.is_empty();
        if site.cookies.is_empty() {
            self.sites.remove(place.site());
        }
        is_any.then_some(line)
    }
}

impl Site {
    fn remove(&mut self, at: usize) -> Stored {
        let cookie = self.cookies.remove(at);
        self.bytes -= cookie.bytes();
        cookie
    }

    fn retain(&mut self, keep: impl Fn(&Stored) -> bool) {
        self.cookies.retain(|cookie| {
            let kept = keep(cookie);
            if !kept {
                self.bytes -= cookie.bytes();
            }
            kept
        });
    }

    fn shrink(&mut self, now: SystemTime, limits: JarLimits) {
        let is_full = |site: &Self| {
            site.cookies.len() > limits.per_site || site.bytes > limits.bytes_per_site
        };
        if is_full(self) {
            self.retain(|cookie| !cookie.is_expired(now));
        }
        while is_full(self) {
            let cookies = self.cookies.iter().enumerate();
            let Some((worst, _)) = cookies.min_by_key(|(_, cookie)| (cookie.secure, cookie.used))
            else {
                return;
            };
            self.remove(worst);
        }
    }
}

#[cfg(test)]
#[path = "jar_tests.rs"]
mod tests;
