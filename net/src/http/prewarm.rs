//! Connections that are opened before they are needed.

use std::future::poll_fn;
use std::sync::Arc;

use ::url::Url;
use heist_sync::join_all;

use super::deadline::{Deadline, Silence};
use super::error::Error;
use super::exchange::{Carrier, Clocks, Config, open, way};
use super::link::Link;
use super::pool::{Checkout, Claim, Pool};

/// Opens what is missing to `count` idle connections, all at once. Those that are idle already are held meanwhile.
pub(super) async fn prewarm(
    config: &Config,
    pool: &Arc<Pool<Link>>,
    url: &Url,
    count: usize,
) -> Result<usize, Error> {
    let via = config.proxies.pick(url)?;
    let way = way(url, via.as_deref());
    let (mut ready, mut opening) = (Vec::new(), Vec::new());
    while ready.len() + opening.len() < count {
        match pool.checkout(&way, false) {
            Checkout::Claim(Claim::Reuse(mut link, slot)) => {
                // One that is not quiet is closed here, with its slot.
                if poll_fn(|cx| link.poll_is_quiet(cx)).await {
                    ready.push(Carrier { link, slot });
                } else {
                    pool.closed().by_server.add(1);
                }
            }
            Checkout::Claim(Claim::Open(slot)) => {
                let via = via.clone();
                opening.push(async move {
                    let mut clocks = Clocks {
                        total: Deadline::after(None),
                        silence: Silence::new(None),
                        turn: None,
                    };
                    open(config, pool, slot, url, via, &mut clocks).await
                });
            }
            Checkout::Wait(_) => break,
        }
    }
    let mut failure = None;
    for opened in join_all(opening).await {
        match opened {
            Ok(carrier) => ready.push(carrier),
            Err(error) => failure = Some(error),
        }
    }
    let count = ready.len();
    ready.into_iter().for_each(Carrier::put_in);
    failure.map_or(Ok(count), Err)
}
