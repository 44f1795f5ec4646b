//! A frontier that many crawlers share, on many machines.
//!
//! The frontier is in a server of its own, and each crawler has a part of it: some hosts, and for each of those a few
//! pages. Everything that belongs together is one step there (`exchange.lua`), so it holds in every moment, whoever
//! dies in which:
//!
//! - each page that was ever found waits in one queue, or belongs to one crawler, or is done;
//! - a host belongs to one crawler at most, and its pages to nobody else;
//! - pages that were given out, and not given back, are never more than a limit.
//!
//! # A page
//!
//! ```text
//!              1                  2                      3
//!    (unknown) ----> queued -----------------> taken ----------> done
//!                      ^                       | | |
//!                      |        4, 5, 6        | | |     7
//!                      +-----------------------+ | +----------> passed over
//!                                                +--> taken    (the server is busy: the same crawler tries again)
//! ```
//!
//! 1. Its address is new: the set of all fingerprints says so (`+`).
//! 2. The crawler that has its host takes it, if the limits have room for one more (`p`, `a`).
//! 3. Its record was handed out, and all that it leads to was said before (`-`).
//! 4. The crawl was stopped while it was under way (`<`).
//! 5. The host goes to another crawler (`f`).
//! 6. Its crawler was not heard of in time.
//! 7. Its host has failed too often (`x`), or has all the pages that it may have.
//!
//! # A host
//!
//! ```text
//!             1                     2                      3
//!    (unknown) ----> idle <----------------- ready ----------------> leased by session S
//!                     |   no page waits      ^   when its time comes   |  |
//!                     +----------------------+                         |  +--> over: 5
//!                          a page is found   ^                         |
//!                                            +-------------------------+
//!                                       4: S gives it back, leaves, or expires
//! ```
//!
//! The lease of a host is that of its crawler. A crawler has a **session**, a number that was never used before and
//! that is what others call a fence: every exchange names it, prolongs it, and is refused when it has expired. So one
//! word prolongs the leases of all hosts, and what a crawler sends too late changes nothing. The server counts a
//! session's time from when a sign of life arrives, the crawler from when it was sent, and only nine tenths of it. So
//! the crawler has cancelled its fetches before anybody else may begin one, however clocks differ.
//!
//! A host that changes hands takes along how long it may not be asked, and by how much it was slowed down. After a
//! crash its next owner waits for the pause that it needs, from the moment at which it was taken over.
//!
//! # The end
//!
//! When no page waits and none is taken, the crawler that leaves has all keys of the crawl expire at one moment
//! (`fade.lua`), some time later, and from then on the crawl takes in nothing.
//!
//! # A crawler
//!
//! | module | what it does |
//! |---|---|
//! | `batch` | what there is to say, in words |
//! | `reply` | what the answer says |
//! | `link` | the thread that talks: sends again, waits, joins again |
//! | `member` | what the crawl's loop knows about its part |
//! | `redis` | the frontier as a program names it |
//! | `server`, `tls`, `trouble` | the way to the server, its scripts, and what its errors mean |
//!
//! One page costs a fraction of one exchange, since all that has come up while one was under way goes along with the
//! next. Addresses that the frontier has heard of from this crawler are not said again.
//!
//! The client is redis-rs, and its plain connection on a thread of its own: its asynchronous one compiles only
//! together with the runtime of tokio or smol, and one exchange at a time needs no more.

mod batch;
mod reply;
mod link;
mod member;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod server;
#[cfg(all(feature = "redis", feature = "https"))]
mod tls;
#[cfg(feature = "redis")]
mod trouble;

pub(crate) use self::link::News;
pub(crate) use self::member::{Consequence, Fate, Member, Membership, Settlement};
#[cfg(feature = "redis")]
pub use self::redis::RedisFrontier;
#[cfg(fuzzing)]
pub(crate) use self::reply::jobs;
