//! The proxies that the environment names, in the variables that most programs look at.

use super::bypass::NoProxy;
use super::{Proxy, Scope};

/// A variable of this process's environment; `None` also if it is empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxies that are used when nothing else is said.
///
/// In a program that a web server has started as a CGI script, `HTTP_PROXY` is what a visitor has sent in the
/// header `Proxy` ("httpoxy", CVE-2016-5385). So only its name in lower case counts there.
pub(super) fn proxies(get: &dyn Fn(&str) -> Option<String>) -> Vec<Proxy> {
    let is_cgi = get("REQUEST_METHOD").is_some();
    let either = |upper: &'static str, lower: &'static str| {
        let value = get(upper).map(|value| (upper, value));
        value.or_else(|| get(lower).map(|value| (lower, value)))
    };
    let http = if is_cgi {
        get("http_proxy").map(|value| ("http_proxy", value))
    } else {
        either("HTTP_PROXY", "http_proxy")
    };
    let no_proxy = no_proxy(get);
    [
        (Scope::Http, http),
        (Scope::Https, either("HTTPS_PROXY", "https_proxy")),
        (Scope::All, either("ALL_PROXY", "all_proxy")),
    ]
    .into_iter()
    .filter_map(|(scope, found)| {
        let (name, value) = found?;
        Some(Proxy::from_env(scope, name, &value).no_proxy(no_proxy.clone()))
    })
    .collect()
}

pub(super) fn no_proxy(get: &dyn Fn(&str) -> Option<String>) -> Option<NoProxy> {
    NoProxy::from_string(&get("NO_PROXY").or_else(|| get("no_proxy"))?)
}
