//! When a request is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::error::Error;
use super::h1::ResponseHead;
use super::random::random;

/// When and how often a client sends a request again that failed. By default it never does, apart from
/// replacing a connection that the server has closed while it was idle.
///
/// What is sent again: a request for which no connection could be made; one whose connection broke before the
/// first byte of an answer; one that was answered with 429 or 503. Except for the first, where nothing was sent,
/// this needs an idempotent method ([RFC 9110, section 9.2.2]), or the word of the caller
/// ([`RequestBuilder::idempotent`](super::RequestBuilder::idempotent)), and in every case a body that can be sent
/// again. Between two attempts it waits, longer each time and never exactly as long as others do, and at least
/// as long as `Retry-After` says. No wait is begun that would end behind the request's deadline.
///
/// ```
/// use heist_net::http::{Client, Retry};
/// use std::time::Duration;
///
/// let retry = Retry::times(3).backoff(Duration::from_millis(200), Duration::from_secs(5));
/// let client = Client::builder().retry(retry).build()?;
/// # Ok::<(), heist_net::http::Error>(())
/// ```
///
/// [RFC 9110, section 9.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
#[derive(Debug, Clone)]
pub struct Retry {
    times: u32,
    first: Duration,
    most: Duration,
    patience: Duration,
    any_method: bool,
    budget: Option<Arc<Budget>>,
}

impl Default for Retry {
    fn default() -> Self {
        Self::never()
    }
}

impl Retry {
    /// Never. The default.
    #[must_use]
    pub fn never() -> Self {
        Self::times(0)
    }

    /// Up to so many times for each request, after 100 ms and up to 10 s, or up to 30 s if the server asks for
    /// it, and in all for a fifth of the requests.
    #[must_use]
    pub fn times(times: u32) -> Self {
        Self {
            times,
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            any_method: false,
            budget: Some(Arc::new(Budget::new(0.2))),
        }
    }

    /// The wait before the first repetition, doubled for each further one up to `most`. A random part of up to
    /// a half is taken off, so that clients that failed together do not come back together.
    #[must_use]
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.first = first;
        self.most = most;
        self
    }

    /// The longest wait that a server may ask for with `Retry-After`. If it asks for more, its answer is the
    /// response.
    #[must_use]
    pub fn max_retry_after(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// Whether requests of any method are sent again, as if every one were idempotent.
    #[must_use]
    pub fn any_method(mut self, any: bool) -> Self {
        self.any_method = any;
        self
    }

    /// How many repetitions there may be for each request of the client, so that a server that is down is not
    /// asked many times as much as one that is up; ten are allowed before any request has paid for them.
    /// `None` for no such limit.
    #[must_use]
    pub fn budget(mut self, for_each: impl Into<Option<f32>>) -> Self {
        let budget = for_each.into().map(|ratio| Arc::new(Budget::new(ratio)));
        self.budget = budget;
        self
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        if let Some(budget) = self.budget.as_ref().filter(|_| self.times > 0) {
            budget.deposit();
        }
    }

    /// How long to wait before it is sent again, if that is to be done. `idempotent`: it may be.
    pub(super) fn after_failure(
        &self,
        done: u32,
        error: &Error,
        idempotent: bool,
    ) -> Option<Duration> {
        let good = error.is_transient_connect()
            || (error.is_unanswered() && (idempotent || self.any_method));
        (good && self.allows(done)).then(|| self.wait(done))
    }

    /// The same after an answer.
    pub(super) fn after_answer(
        &self,
        done: u32,
        head: &ResponseHead,
        idempotent: bool,
    ) -> Option<Duration> {
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if done >= self.times || !busy.contains(&head.status()) {
            return None;
        }
        let asked = head.get("retry-after");
        let asked = asked.and_then(|value| parse_retry_after(value, SystemTime::now()));
        let asked = asked.unwrap_or_default();
        let good = (idempotent || self.any_method) && asked <= self.patience;
        (good && self.allows(done)).then(|| self.wait(done).max(asked))
    }

    /// Whether one more is allowed. If so it is counted.
    fn allows(&self, done: u32) -> bool {
        done < self.times && self.budget.as_ref().is_none_or(|budget| budget.withdraw())
    }

    fn wait(&self, done: u32) -> Duration {
        let factor = 1u32.checked_shl(done.min(31)).unwrap_or(u32::MAX);
        let whole = self
            .first
            .saturating_mul(factor)
            .min(self.most)
            .min(LONGEST);
        // The upper 32 bits as a fraction of 1.
        whole.mul_f64(1.0 - 0.5 * ((random() >> 32) as f64 / f64::from(u32::MAX)))
    }
}

/// A bound for what is never waited for anyway, within reach of floating-point numbers and clocks.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// Repetitions that requests have paid for, in thousandths.
///
/// A counter that orders nothing else, so every access is relaxed: what must not get lost is only the sum.
#[derive(Debug)]
struct Budget {
    saved: AtomicI64,
    per_request: i64,
}

impl Budget {
    const ONE: i64 = 1000;
    /// Saved up in quiet times, and enough for the first failures.
    const RESERVE: i64 = 10 * Self::ONE;
    const MOST: i64 = 100 * Self::ONE;

    fn new(ratio: f32) -> Self {
        Self {
            saved: AtomicI64::new(Self::RESERVE),
            per_request: (f64::from(ratio.max(0.0)) * Self::ONE as f64) as i64,
        }
    }

    fn deposit(&self) {
        let add = |saved: i64| (saved < Self::MOST).then(|| saved.saturating_add(self.per_request));
        // An error only says that there is enough.
        let _ = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes one, if there is one.
    fn withdraw(&self) -> bool {
        let take = |saved: i64| (saved >= Self::ONE).then(|| saved - Self::ONE);
        let taken = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok()
    }
}

/// The value of `Retry-After`: seconds, or a date ([RFC 9110, section 10.2.3]). A date that has passed is no
/// wait.
///
/// [RFC 9110, section 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn parse_retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are more than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let parse = |text: &str| parse_retry_after(text.as_bytes(), now);
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(parse("120"), seconds(120));
        assert_eq!(parse(" 0 "), seconds(0));
        assert_eq!(parse("99999999999999999999999"), seconds(u64::MAX));
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:37 GMT"), seconds(60));
        assert_eq!(parse("Sunday, 06-Nov-94 08:50:37 GMT"), seconds(60));
        assert_eq!(parse("Sun Nov  6 08:50:37 1994"), seconds(60));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:36 GMT"), seconds(0));
        for nonsense in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn waits_double_up_to_a_limit_and_vary() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let retry = Retry::times(9).backoff(first, most);
        for (done, whole) in [
            (0, 100),
            (1, 200),
            (2, 400),
            (3, 800),
            (4, 1000),
            (40, 1000),
        ] {
            let waits: Vec<_> = (0..50).map(|_| retry.wait(done)).collect();
            let whole = Duration::from_millis(whole);
            assert!(waits.iter().all(|wait| (whole / 2..=whole).contains(wait)));
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter");
        }
        let huge = Retry::times(9).backoff(Duration::MAX, Duration::MAX);
        assert!(huge.wait(8) > Duration::from_secs(1));
    }

    #[test]
    fn a_budget_is_spent_and_earned() {
        let retry = Retry::times(1).budget(0.5);
        let count = || (0..100).filter(|_| retry.allows(0)).count();
        assert_eq!(count(), 10);
        for _ in 0..8 {
            retry.begin();
        }
        assert_eq!(count(), 4);
        for _ in 0..1000 {
            retry.begin();
        }
        assert_eq!(count(), 100);
        let unlimited = Retry::times(1).budget(None);
        assert!((0..1000).all(|_| unlimited.allows(0)));
        assert!(!Retry::never().allows(0));
    }
}
