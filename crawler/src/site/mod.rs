//! The embedded site: something to crawl that is the same every time and needs no network.
//!
//! | module | what it does |
//! |---|---|
//! | `pages` | the pages, each a pure function of its number and the site's seed |
//! | `delay` | answers that come late, by a time that is also a pure function |
//! | `request` | request heads, from bytes to what the server needs to know |
//! | `server` | connections and responses, over Heist's own TCP |

mod pages;
mod delay;
mod request;
mod server;

pub use self::delay::{DelayRange, DelayRangeError};
pub use self::pages::Site;
pub use self::server::SiteServer;

/// A well-mixed number from a seed, a page and a purpose (the finaliser of SplitMix64).
fn mix(seed: u64, page: u32, purpose: u64) -> u64 {
    let mut word = seed
        .wrapping_add(u64::from(page).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(purpose.wrapping_mul(0xd1b5_4a32_d192_ed03));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
