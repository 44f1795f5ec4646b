//! The clients, each written as its users would write it.
//!
//! - `ours`: Heist's client with every feature on, and its codec by itself.
//! - `reqwest`: reqwest with the same features on.
//! - `hyper_util`: hyper-util's client, which has a pool and no more.
//! - `hyper`: hyper's connection, one for each worker of the crawl, on tokio and on Heist.
//! - `by_hand`: a GET on tokio's socket.

mod ours;
mod reqwest;
mod hyper_util;
mod hyper;
mod by_hand;

use std::time::Duration;

use super::plan::{Crawled, Plan};
use crate::{
    contender::Contender,
    rt::{Contestant, Defer, Heist, MultiThread, Tokio},
};

/// What all of them are called.
const AGENT: &str = "heist-bench";

/// Every wait has an end where a client can be told so.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The contenders of a crawl, Heist first.
pub(crate) const CLIENTS: [Contender; 7] = [
    Contender::Heist,
    Contender::Reqwest,
    Contender::HyperUtil,
    Contender::Hyper,
    Contender::HeistHyper,
    Contender::HeistCodec,
    Contender::ByHand,
];

/// Crawls once.
pub(crate) fn run(contender: Contender, workers: usize, plan: &Plan) -> Crawled {
    let on_heist = || Heist::<Defer>::start(workers);
    let on_tokio = || Tokio::<MultiThread>::start(workers);
    let connections = plan.concurrency;
    match contender {
        Contender::Heist => plan.crawl(&on_heist(), ours::Whole::new(connections)),
        Contender::HeistCodec => plan.crawl(&on_heist(), ours::Codec::new(plan.server)),
        Contender::HeistHyper => plan.crawl(
            &on_heist(),
            hyper::Connections::<Heist<Defer>>::new(plan.server),
        ),
        Contender::Hyper => plan.crawl(
            &on_tokio(),
            hyper::Connections::<Tokio<MultiThread>>::new(plan.server),
        ),
        Contender::Reqwest => plan.crawl(&on_tokio(), reqwest::Whole::new(connections)),
        Contender::HyperUtil => plan.crawl(&on_tokio(), hyper_util::Pooled::new(connections)),
        Contender::ByHand => plan.crawl(&on_tokio(), by_hand::ByHand::new(plan.server)),
        other => unreachable!("{other} is no HTTP client"),
    }
}
