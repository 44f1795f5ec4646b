//! The jar: what is stored, sent, refused, replaced, and thrown out.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// Stores what `from` sets and tells what `to` gets.
fn sent(set: &[&str], from: &str, to: &str) -> String {
    let jar = Jar::new();
    for cookie in set {
        jar.add_cookie_str(cookie, &url(from));
    }
    line(&jar, to)
}

fn line(jar: &Jar, to: &str) -> String {
    let value = jar.cookies(&url(to));
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

#[test]
fn a_cookie_goes_to_the_hosts_it_is_for() {
    let from = "http://www.example.com/";
    for (set, to, is_sent) in [
        ("a=1", "http://www.example.com/", true),
        ("a=1", "https://www.example.com:8080/", true),
        ("a=1", "http://example.com/", false),
        ("a=1", "http://x.www.example.com/", false),
        ("a=1; domain=example.com", "http://example.com/", true),
        (
            "a=1; domain=.EXAMPLE.com",
            "http://other.example.com/",
            true,
        ),
        (
            "a=1; domain=www.example.com",
            "http://x.www.example.com/",
            true,
        ),
        ("a=1; domain=example.com", "http://badexample.com/", false),
        ("a=1; domain=", "http://www.example.com/", true),
        ("a=1; domain=", "http://x.www.example.com/", false),
        // Not its to name.
        ("a=1; domain=other.com", "http://other.com/", false),
        (
            "a=1; domain=x.www.example.com",
            "http://x.www.example.com/",
            false,
        ),
        ("a=1; domain=com", "http://www.example.com/", false),
        (
            "a=1; domain=ex\u{e4}mple.com",
            "http://www.example.com/",
            false,
        ),
    ] {
        assert_eq!(sent(&[set], from, to) == "a=1", is_sent, "{set} to {to}");
    }
}

#[test]
fn public_suffixes_and_addresses_speak_for_themselves_only() {
    let sent = |set, from, to| sent(&[set], from, to) == "a=1";
    assert!(!sent(
        "a=1; domain=github.io",
        "http://x.github.io/",
        "http://y.github.io/"
    ));
    assert!(sent(
        "a=1; domain=github.io",
        "http://github.io/",
        "http://github.io/"
    ));
    assert!(!sent(
        "a=1; domain=github.io",
        "http://github.io/",
        "http://y.github.io/"
    ));
    assert!(sent(
        "a=1; domain=localhost",
        "http://localhost/",
        "http://localhost/"
    ));
    assert!(sent(
        "a=1; domain=127.0.0.1",
        "http://127.0.0.1/",
        "http://127.0.0.1:81/"
    ));
    assert!(!sent(
        "a=1; domain=0.0.1",
        "http://127.0.0.1/",
        "http://127.0.0.1/"
    ));
    assert!(sent("a=1", "http://[::1]/", "http://[::1]/"));
}

#[test]
fn paths_order_and_names() {
    let from = "http://h.com/a/b";
    let set = [
        "root=1; path=/",
        "deep=2; path=/a",
        "folder=3",
        "bare",
        "odd=4; path=x",
    ];
    assert_eq!(
        sent(&set, from, "http://h.com/a/c"),
        "deep=2; folder=3; bare; odd=4; root=1"
    );
    assert_eq!(sent(&set, from, "http://h.com/"), "root=1");
    // A replaced cookie keeps its place in the line.
    assert_eq!(sent(&["a=1", "b=2", "a=3"], from, from), "a=3; b=2");
    // These three are not the same cookie.
    let set = ["a=1", "a=2; domain=h.com", "a=3; path=/"];
    assert_eq!(sent(&set, from, from), "a=1; a=2; a=3");
}

#[test]
fn secure_cookies_are_safe_from_plain_http() {
    let (https, http) = ("https://h.com/", "http://h.com/");
    assert_eq!(sent(&["a=1; secure"], https, https), "a=1");
    assert_eq!(sent(&["a=1; secure"], https, http), "");
    assert_eq!(sent(&["a=1; secure"], http, https), "");
    let jar = Jar::new();
    jar.add_cookie_str("a=1; secure; path=/x", &url(https));
    for (hiding, is_refused) in [
        ("a=2; path=/x", true),
        ("a=2; path=/x/y", true),
        ("a=2; domain=h.com; path=/x", true),
        ("a=2; path=/", false),
        ("b=2; path=/x", false),
    ] {
        let before = jar.len();
        jar.add_cookie_str(hiding, &url(http));
        assert_eq!(jar.len() == before, is_refused, "{hiding}");
    }
    // Over https it may.
    jar.add_cookie_str("a=9; path=/x", &url(https));
    assert!(line(&jar, "http://h.com/x").starts_with("a=9"));
    assert_eq!(sent(&["a=1; samesite=none"], https, https), "");
    assert_eq!(sent(&["a=1; samesite=none; secure"], https, https), "a=1");
}

#[test]
fn prefixes_hold_what_they_promise() {
    let https = "https://h.com/x";
    for (set, is_kept) in [
        ("__Secure-a=1; secure", true),
        ("__Secure-a=1", false),
        ("__SECURE-a=1", false),
        ("__Host-a=1; secure; path=/", true),
        ("__host-a=1; secure; path=/; domain=", true),
        ("__Host-a=1; secure", false),
        ("__Host-a=1; path=/", false),
        ("__Host-a=1; secure; path=/x", false),
        ("__Host-a=1; secure; path=/; domain=h.com", false),
        ("=__Host-a=1; secure; path=/", false),
        ("__Secure-a", false),
    ] {
        assert_eq!(!sent(&[set], https, https).is_empty(), is_kept, "{set}");
    }
}

#[test]
fn cookies_expire() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let h = url("http://h.com/");
    let place = Place::of(&h).unwrap();
    let after = |set: &[&str], seconds| {
        let mut sites = Sites::default();
        for set in set {
            sites.add(&Cookie::parse(set).unwrap(), place, start, LIMITS);
        }
        let found = sites.line(place, start + Duration::from_secs(seconds));
        assert_eq!(sites.count, usize::from(found.is_some()));
        assert_eq!(sites.sites.len(), sites.count);
        found.is_some()
    };
    let date = "expires=Sun, 09 Sep 2001 01:47:40 GMT";
    assert!(after(&["a=1; max-age=60"], 59) && !after(&["a=1; max-age=60"], 60));
    assert!(after(&[&format!("a=1; {date}")], 59) && !after(&[&format!("a=1; {date}")], 60));
    // Max-Age comes first.
    assert!(after(&[&format!("a=1; {date}; max-age=100")], 99));
    assert!(after(&["a=1"], 1_000_000_000));
    let year = 86_400 * 400;
    for endless in [
        "a=1; max-age=99999999999",
        "a=1; expires=1 Jan 2999 00:00:00",
    ] {
        assert!(after(&[endless], year - 1) && !after(&[endless], year));
    }
    for over in [
        "a=2; max-age=0",
        "a=2; max-age=-1",
        "a=2; expires=1 Jan 1970 00:00:00",
    ] {
        assert!(!after(&["a=1", over], 0), "{over}");
        assert!(!after(&[over], 0), "{over}");
    }
}

#[test]
fn a_site_has_its_limits() {
    let jar = Jar::new();
    let https = url("https://h.com/");
    jar.add_cookie_str("secure=1; secure", &https);
    for number in 0..LIMITS.per_site {
        assert_eq!(jar.len(), number + 1);
        // Subdomains make no room.
        let from = url(&format!("https://sub{number}.h.com/"));
        jar.add_cookie_str(&format!("n{number}=1; domain=h.com"), &from);
    }
    // One too many: the least recently used that is not secure had to go.
    assert_eq!(jar.len(), LIMITS.per_site);
    let all = line(&jar, "https://h.com/");
    assert!(all.contains("secure=1") && !all.contains("n0=1") && all.contains("n1=1"));
    let long = "x".repeat(4000);
    for number in 0..20 {
        jar.add_cookie_str(&format!("long{number}={long}"), &https);
    }
    let all = line(&jar, "https://h.com/");
    assert!(
        all.len() < LIMITS.bytes_per_site && all.contains("long19="),
        "{}",
        all.len()
    );
}

#[test]
fn the_jar_has_its_limits() {
    let jar = Jar::new();
    let host = |number: usize| url(&format!("http://host{number}.com/"));
    let set = |number| jar.add_cookie_str("a=1; path=/", &host(number));
    for number in 0..LIMITS.total {
        set(number);
    }
    assert_eq!(jar.len(), LIMITS.total);
    // The first is used, so it is not the first to go.
    assert!(jar.cookies(&host(0)).is_some());
    set(LIMITS.total);
    assert_eq!(jar.len(), LIMITS.total - LIMITS.total / 10);
    assert!(jar.cookies(&host(0)).is_some() && jar.cookies(&host(LIMITS.total)).is_some());
    assert!(jar.cookies(&host(1)).is_none());
    let sites = jar.lock();
    let bytes = sites
        .sites
        .values()
        .flat_map(|site| &site.cookies)
        .map(Stored::bytes);
    assert_eq!(sites.bytes, bytes.sum::<usize>());
    drop(sites);
    jar.clear();
    assert!(jar.is_empty() && jar.cookies(&host(0)).is_none());
    let long = "x".repeat(4000);
    for number in 0..2000 {
        jar.add_cookie_str(&format!("a={long}"), &host(number));
        assert!(jar.lock().bytes <= LIMITS.bytes_total);
    }
}

#[test]
fn debugging_tells_no_secret() {
    let jar = Jar::new();
    jar.add_cookie_str("name=secret", &url("http://h.com/"));
    assert_eq!(format!("{jar:?}"), "Jar { cookies: 1, sites: 1 }");
}
