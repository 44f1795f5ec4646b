//! The scenarios.
//!
//! Tasks: [`spawn`], [`remote_spawn`], [`yields`], [`ping_pong`], [`chained_spawn`], [`uneven`].
//! Groups: [`groups`]. Time: [`timers`]. Sockets: [`echo`], [`server`], [`low_rate`], [`idle`],
//! [`storm`]. HTTP clients: `crawl`, and servers: `http_server` (feature `http-clients`). Files: [`files`], [`small_files`].
//! Locks and channels: [`semaphore`], [`mutex`], [`mpsc`], [`oneshot`], [`notify`], [`watch`], [`broadcast`].
//! Shared: `window`, a stretch of time that is measured, and the connections that are busy in it;
//! `beside`, tasks that compute meanwhile; `countdown`, to wait for many tasks.
//!
//! Each module has a function `list` with its scenarios at a [`Scale`].

use crate::scenario::{AnyScenario, Scale};

pub mod spawn;
pub mod remote_spawn;
pub mod yields;
pub mod ping_pong;
pub mod chained_spawn;
pub mod uneven;
pub mod groups;
pub mod timers;
pub mod echo;
mod echo_by_hand;
pub mod server;
pub mod low_rate;
pub mod idle;
pub mod storm;
#[cfg(feature = "http-clients")]
pub mod crawl;
#[cfg(feature = "http-clients")]
pub mod http_server;
pub mod files;
pub mod small_files;
pub mod semaphore;
pub mod mutex;
pub mod mpsc;
pub mod oneshot;
pub mod notify;
pub mod watch;
pub mod broadcast;
mod window;
mod beside;
mod countdown;

/// Every scenario, in the order of the report.
#[must_use]
pub fn all(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    [
        spawn::list,
        remote_spawn::list,
        yields::list,
        ping_pong::list,
        chained_spawn::list,
        uneven::list,
        groups::list,
        timers::list,
        echo::list,
        server::list,
        low_rate::list,
        idle::list,
        storm::list,
        #[cfg(feature = "http-clients")]
        crawl::list,
        #[cfg(feature = "http-clients")]
        http_server::list,
        files::list,
        small_files::list,
        semaphore::list,
        mutex::list,
        mpsc::list,
        oneshot::list,
        notify::list,
        watch::list,
        broadcast::list,
    ]
    .into_iter()
    .flat_map(|list| list(scale))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Setup;

    #[test]
    fn every_scenario_works_on_every_contender() {
        crate::meter::raise_descriptor_limit();
        let setup = Setup {
            workers: 2,
            scale: Scale::Quick,
        };
        for scenario in all(Scale::Quick) {
            let name = scenario.name();
            let contenders = scenario.contenders().into_iter();
            for (contender, _) in contenders.filter(|(_, takes_part)| takes_part.is_ok()) {
                let outcome = scenario.run_on(contender, setup);
                assert_eq!(outcome.values.len(), scenario.measures().len(), "{name}");
                assert!(outcome.operations > 0, "{name} on {contender} did nothing");
                assert!(
                    outcome.time.as_nanos() > 0,
                    "{name} on {contender} took no time"
                );
                for value in outcome.values {
                    assert!(
                        value.is_finite() && value >= 0.0,
                        "{name} on {contender}: {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn scales_have_the_same_scenarios() {
        let names = |scale| all(scale).iter().map(|one| one.name()).collect::<Vec<_>>();
        assert_eq!(names(Scale::Quick), names(Scale::Full));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all(Scale::Quick)
            .iter()
            .map(|scenario| scenario.name())
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
