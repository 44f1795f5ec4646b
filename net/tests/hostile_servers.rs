//! Servers that do their worst: the right body or a typed error, within the deadline, in little memory, and no answer
//! is ever taken for that to another request.
//!
//! It counts the memory of the whole program, so it is a program of its own.
//!
//! | file | idea |
//! |---|---|
//! | `memory.rs` | an allocator that counts what the client's side holds |
//! | `attacks.rs` | the table: what a server does, and what must come of it |
//! | `cuts.rs` | ends and resets at every byte |

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "http_client/server.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod server;
#[path = "hostile_servers/memory.rs"]
mod memory;
#[path = "hostile_servers/attacks.rs"]
mod attacks;
#[path = "hostile_servers/cuts.rs"]
mod cuts;

use std::time::Instant;

use attacks::{ATTACKS, Attack, Expect};
use heist_net::http::{Client, Error};
use heist_runtime::block_on;
use server::{Server, join, millis, ok};

/// The most that a response may have here.
const BODY: u64 = 64 * 1024;

/// What the client may hold at once for one response: a head of 64 KiB that is collected and then copied, or a body
/// of [`BODY`] in a vector that doubles. None of the attacks is less than a hundred times as large.
const MEMORY: usize = 512 * 1024;

/// The time for those that wait for ever.
const PATIENCE: u64 = 300;

/// Control: `Limits::trailers` a thousand times as large fails by its memory, and `Connection::can_reuse` without
/// `reusable` by the answer to a request that came on a spent connection.
#[test]
fn every_attack_ends_as_it_should() {
    let _alone = memory::alone();
    block_on(async {
        let mut wrong = Vec::new();
        for attack in ATTACKS
            .iter()
            .filter(|attack| attack.expect != Expect::Timeout)
        {
            let before = memory::begin();
            let result = suffer(attack, 5000).await;
            let peak = memory::peak_since(before);
            if let Err(what) = result {
                wrong.push(format!("{}: {what}", attack.name));
            }
            if peak > MEMORY + attack.upload {
                wrong.push(format!("{}: took {peak} bytes of memory", attack.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Control: without the deadline it does not end.
#[test]
fn every_delay_ends_at_the_deadline() {
    let _alone = memory::alone();
    block_on(async {
        let attacks = ATTACKS
            .iter()
            .filter(|attack| attack.expect == Expect::Timeout);
        let before = memory::begin();
        // Side by side: they cost time, not work.
        let results = join(attacks.clone().map(async |attack| {
            let what = suffer(attack, PATIENCE).await.err()?;
            Some(format!("{}: {what}", attack.name))
        }))
        .await;
        let peak = memory::peak_since(before);
        let wrong: Vec<_> = results.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let allowed: usize = attacks.map(|attack| MEMORY + attack.upload).sum();
        assert!(peak < allowed, "took {peak} bytes");
    });
}

/// Control: `TRUSTED_LENGTH` sixty times as large.
#[test]
fn an_announced_length_takes_no_memory() {
    let _alone = memory::alone();
    let server = Server::new(|peer| {
        memory::do_not_count_this_thread();
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nhello");
        peer.end();
    });
    block_on(async {
        // Without a limit on the body.
        let client = Client::builder().timeout(millis(5000)).build().unwrap();
        let before = memory::begin();
        let error = server::get(&client, &server.url("/")).await.unwrap_err();
        assert!(error.is_body() && !error.is_timeout(), "{error}");
        let peak = memory::peak_since(before);
        assert!(peak < (1 << 20) + MEMORY, "took {peak} bytes");
    });
}

/// Runs one attack against a client, and then asks the same server for something harmless.
async fn suffer(attack: &'static Attack, patience: u64) -> Result<(), String> {
    let server = Server::new(move |peer| {
        memory::do_not_count_this_thread();
        if attack.before_the_request {
            (attack.script)(peer);
        }
        let Some(head) = peer.request() else {
            return;
        };
        if head.contains(" /harmless ") {
            peer.send(&ok("harmless"));
            return;
        }
        if !attack.before_the_request {
            (attack.script)(peer);
        }
        // Whoever asks here took the connection for one that can be used again.
        if peer.request().is_some() {
            peer.send(&ok("used again"));
        }
    });
    let client = Client::builder()
        .timeout(millis(patience))
        .max_response_size(BODY)
        .build()
        .unwrap();
    let started = Instant::now();
    let result = fetch(&client, attack, &server.url("/attack")).await;
    let elapsed = started.elapsed();
    check(attack, &result)?;
    let expected = match attack.expect {
        Expect::Timeout => millis(PATIENCE)..millis(PATIENCE + 2000),
        _ => millis(0)..millis(3000),
    };
    if !expected.contains(&elapsed) {
        return Err(format!("it took {elapsed:?}"));
    }
    if attack.before_the_request {
        return Ok(());
    }
    match client.get(server.url("/harmless")).send().await {
        Ok(response) => match response.text().await {
            Ok(text) if text == "harmless" => Ok(()),
            Ok(text) => Err(format!("the next request was answered {text:?}")),
            Err(error) => Err(format!("the next body failed: {error}")),
        },
        Err(error) => Err(format!("the next request failed: {error}")),
    }
}

async fn fetch(client: &Client, attack: &Attack, url: &str) -> Result<String, Error> {
    let request = match attack.upload {
        0 => client.get(url),
        length => client.post(url).body(vec![b'x'; length]),
    };
    request.send().await?.text().await
}

fn check(attack: &Attack, result: &Result<String, Error>) -> Result<(), String> {
    let error = match (result, attack.expect) {
        (Ok(text), Expect::Body(expected)) if text == expected => return Ok(()),
        (Ok(text), _) => return Err(format!("{text:?} looks like success")),
        (Err(error), _) => error,
    };
    let early = !error.is_timeout() && !error.is_decode() && !error.is_limit();
    let as_expected = match attack.expect {
        Expect::Body(_) => false,
        Expect::Decode => error.is_decode(),
        Expect::Limit => error.is_limit(),
        Expect::Timeout => error.is_timeout(),
        Expect::Redirect => error.is_redirect(),
        Expect::Early => early && (error.is_request() || error.is_body()),
    };
    match as_expected {
        true => Ok(()),
        false => Err(format!("expected {:?}, got {error}", attack.expect)),
    }
}
