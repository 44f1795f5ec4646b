//! Which rule counts, and what the environment says.

use super::*;

fn pick(proxies: &Proxies, url: &str) -> Option<String> {
    let server = proxies.pick(&Url::parse(url).unwrap()).unwrap();
    server.map(|server| server.to_string())
}

fn from_env(variables: &[(&str, &str)]) -> Proxies {
    let get = |name: &str| {
        let found = variables.iter().find(|variable| variable.0 == name);
        found.map(|variable| variable.1.to_owned())
    };
    Proxies(env::proxies(&get))
}

#[test]
fn the_first_rule_that_covers_a_url_counts() {
    let proxies = Proxies::new(vec![
        Proxy::https("http://s").unwrap(),
        Proxy::custom(|url| (url.path() == "/x").then_some("socks5://custom")),
        Proxy::http("p:3128")
            .unwrap()
            .no_proxy(NoProxy::from_string("direct")),
        Proxy::all("http://rest")
            .unwrap()
            .no_proxy(NoProxy::from_string("direct")),
    ]);
    for (url, expected) in [
        ("https://h/x", Some("http://s:80")),
        ("http://h/x", Some("socks5://custom:1080")),
        ("http://h/", Some("http://p:3128")),
        ("http://direct/", None),
    ] {
        assert_eq!(pick(&proxies, url).as_deref(), expected, "{url}");
    }
    assert_eq!(pick(&Proxies::default(), "http://h/"), None);
}

#[test]
fn settings_reach_every_kind_of_rule() {
    for rule in [
        Proxy::all("http://u:p@h").unwrap(),
        Proxy::custom(|_| Some("http://u:p@h")),
    ] {
        let mut headers = HeaderMap::new();
        headers.append("x", HeaderValue::from_static("1"));
        headers.append("x", HeaderValue::from_static("2"));
        let rule = rule.basic_auth("me", "pw").headers(headers);
        let url = Url::parse("http://h/").unwrap();
        let server = rule.pick(&url).unwrap().unwrap();
        assert_eq!(server.headers["proxy-authorization"], "Basic bWU6cHc=");
        assert_eq!(server.headers.get_all("x").iter().count(), 2);
        let rule = rule.custom_http_auth(HeaderValue::from_static("Bearer t"));
        let server = rule.pick(&url).unwrap().unwrap();
        assert_eq!(server.headers["proxy-authorization"], "Bearer t");
        assert!(!format!("{rule:?}").contains("pw"));
    }
}

#[test]
fn what_is_no_proxy() {
    for text in [
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://[",
        "",
        "socks9://h",
    ] {
        assert!(Proxy::all(text).unwrap_err().is_builder(), "{text}");
    }
    let rule = Proxy::custom(|_| Some("ftp://user:secret@h"));
    let error = rule
        .pick(&Url::parse("http://h/").unwrap())
        .unwrap()
        .unwrap_err();
    assert!(
        error.is_builder() && !format!("{error} {error:?}").contains("secret"),
        "{error}"
    );
}

#[test]
fn the_environment() {
    let all = [
        ("HTTP_PROXY", "http://upper:1"),
        ("http_proxy", "http://lower:1"),
        ("https_proxy", "http://secure:2"),
        ("ALL_PROXY", "socks5h://all:3"),
        ("NO_PROXY", "direct, 10.0.0.0/8"),
    ];
    let proxies = from_env(&all);
    assert_eq!(pick(&proxies, "http://h/").unwrap(), "http://upper:1");
    assert_eq!(pick(&proxies, "https://h/").unwrap(), "http://secure:2");
    for direct in ["http://direct/", "https://x.direct/", "http://10.1.2.3/"] {
        assert_eq!(pick(&proxies, direct), None);
    }
    let rest = from_env(&all[3..]);
    assert_eq!(pick(&rest, "http://h/").unwrap(), "socks5h://all:3");
    assert_eq!(pick(&rest, "https://h/").unwrap(), "socks5h://all:3");
    assert_eq!(pick(&from_env(&[("NO_PROXY", "*")]), "http://h/"), None);
}

#[test]
fn visitors_of_a_cgi_script_choose_no_proxy() {
    let cgi = ("REQUEST_METHOD", "GET");
    let proxies = from_env(&[cgi, ("HTTP_PROXY", "http://evil:1")]);
    assert_eq!(pick(&proxies, "http://h/"), None);
    let proxies = from_env(&[
        cgi,
        ("HTTP_PROXY", "http://evil:1"),
        ("http_proxy", "good:2"),
    ]);
    assert_eq!(pick(&proxies, "http://h/").unwrap(), "http://good:2");
}

#[test]
fn a_broken_variable_fails_what_would_use_it() {
    let proxies = from_env(&[("HTTP_PROXY", "ftp://u:secret@h"), ("NO_PROXY", "direct")]);
    let error = proxies.pick(&Url::parse("http://h/").unwrap()).unwrap_err();
    assert!(
        error.is_builder() && error.to_string().contains("HTTP_PROXY"),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"));
    assert_eq!(pick(&proxies, "http://direct/"), None);
    assert_eq!(pick(&proxies, "https://h/"), None);
}
