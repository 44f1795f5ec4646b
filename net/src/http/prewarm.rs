//! Connections that are opened before they are needed.

use std::future::poll_fn;

use ::url::Url;
use heist_runtime::time::Instant;
use heist_sync::join_all;
use http::Method;

use super::claim::{Connections, Opened, open, way};
#[cfg(feature = "http2")]
use super::claim::{Found, Way, find_shared, settle};
use super::connect::Offer;
use super::deadline::Clocks;
use super::error::Error;
use super::exchange::{Carrier, Config};
use super::pool::{Checkout, Claim};
use super::request::Request;

/// Opens what is missing to `count` idle connections, all at once. Those that are idle already are held meanwhile.
/// Where one is shared by all it is enough, for any number.
pub(super) async fn prewarm(
    config: &Config,
    connections: &Connections,
    url: Url,
    count: usize,
) -> Result<usize, Error> {
    let request = Request::new(Method::GET, url);
    let via = config.proxies.pick(&request.url)?;
    #[cfg(feature = "http2")]
    if count > 0 && config.offer(&request, via.as_deref()) == Offer::Http2 {
        let name = way(&request.url, via.as_deref());
        let (url, mut clocks) = (&request.url, unlimited());
        let lead = match find_shared(config, connections, url, &name, &mut clocks).await? {
            Found::Shared(_) => return Ok(count),
            Found::Lead(lead) => lead,
            Found::Alone => return open_missing(config, connections, url, via, count).await,
        };
        match connections.pool.checkout(&name, false, Instant::now()) {
            Checkout::Claim(Claim::Open(slot)) => {
                let (via, offer) = (via.clone(), Offer::Http2);
                let opening = open(config, connections, slot, url, via, offer, &mut clocks);
                match settle(opening.await, Some(lead), connections, &name)? {
                    Way::Shared(_) => return Ok(count),
                    Way::Link(carrier) => carrier.put_in(),
                }
            }
            Checkout::Claim(Claim::Reuse(link, slot)) => Carrier { link, slot }.put_in(),
            Checkout::Wait(_) => {}
        }
    }
    open_missing(config, connections, &request.url, via, count).await
}

async fn open_missing(
    config: &Config,
    connections: &Connections,
    url: &Url,
    via: Option<std::sync::Arc<super::proxy::Server>>,
    count: usize,
) -> Result<usize, Error> {
    let pool = &connections.pool;
    let way = way(url, via.as_deref());
    let (mut ready, mut opening) = (Vec::new(), Vec::new());
    while ready.len() + opening.len() < count {
        match pool.checkout(&way, false, Instant::now()) {
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
                    let mut clocks = unlimited();
                    let offer = Offer::Http1;
                    open(config, connections, slot, url, via, offer, &mut clocks).await
                });
            }
            Checkout::Wait(_) => break,
        }
    }
    let mut failure = None;
    for opened in join_all(opening).await {
        match opened {
            Ok(Opened::Link(carrier)) => ready.push(carrier),
            #[cfg(feature = "http2")]
            Ok(Opened::Shared(_)) => {}
            Err(error) => failure = Some(error),
        }
    }
    let count = ready.len();
    ready.into_iter().for_each(Carrier::put_in);
    failure.map_or(Ok(count), Err)
}

fn unlimited() -> Clocks {
    Clocks::start(None, None, None, None)
}
