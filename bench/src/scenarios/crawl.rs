//! HTTP clients that fetch two thousand pages from nginx, and ten thousand pages that are slow to come.
//!
//! Each client is alone in a process of its own, so the processor time, the memory and the context switches
//! are its own. Each opens its connections before the clock starts, takes every body as it comes and looks
//! through it for links, and what was found is compared with what is there. nginx has one process, and
//! shares the CPUs with the client, so the pages per second depend on it too.
//!
//! Heist's client and reqwest's have all features on that the other has too: redirects, content codings,
//! cookies, the pool and timeouts. The others have none of it.

use std::time::Duration;

use crate::{
    child,
    contender::Contender,
    crawl::{CLIENTS, Folder, Plan, Work, is_nginx_installed, run, site},
    meter,
    scenario::{AnyScenario, Measure, Outcome, Point, Scale, Setup},
    stats::micros,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Crawl {
    work: Work,
    concurrency: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(_scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let mixed = [5, 64, 512].map(|concurrency| (Work::Pages(Folder::Mixed), concurrency));
    let others = [(Work::Pages(Folder::Even), 100), (Work::Slow, 1000)];
    mixed
        .into_iter()
        .chain(others)
        .map(|(work, concurrency)| Box::new(Crawl { work, concurrency }) as Box<dyn AnyScenario>)
        .collect()
}

impl AnyScenario for Crawl {
    fn name(&self) -> String {
        let concurrency = self.concurrency;
        match self.work {
            Work::Pages(Folder::Mixed) => format!("crawl, {concurrency} at a time"),
            Work::Pages(Folder::Even) => format!("crawl, 4 KiB pages, {concurrency} at a time"),
            Work::Slow => format!("10 k slow pages, {concurrency} at a time"),
        }
    }

    fn measures(&self) -> Vec<Measure> {
        let rate = match self.work {
            Work::Pages(_) => Measure::more("throughput", "pages/s"),
            Work::Slow => Measure::less("elapsed of ideal", "times"),
        };
        vec![
            Measure::less("processor time", "us/page"),
            rate,
            Measure::less("peak memory", "MiB"),
        ]
    }

    fn points(&self) -> Vec<Point> {
        match self.work {
            Work::Pages(Folder::Mixed) => vec![Point {
                curve: ("crawl, CPU per page", "connections"),
                x: self.concurrency,
            }],
            _ => Vec::new(),
        }
    }

    fn baseline(&self) -> Contender {
        Contender::Reqwest
    }

    fn contenders(&self) -> Vec<(Contender, Result<(), &'static str>)> {
        let runs = match self.work {
            Work::Pages(_) if !is_nginx_installed() => Err("needs nginx, which is not installed"),
            _ => Ok(()),
        };
        CLIENTS.map(|contender| (contender, runs)).into()
    }

    fn run_on(&self, contender: Contender, setup: Setup) -> Outcome {
        // Before the process that fetches from it, which is told where it is.
        site(setup);
        child::probe(&self.name(), contender, setup, false).outcome
    }

    fn run_once(&self, contender: Contender, setup: Setup) -> Outcome {
        let plan = Plan::new(self.work, setup.scale, self.concurrency, site(setup));
        let crawled = run(contender, setup.workers, &plan);
        let (cost, pages) = (crawled.cost, crawled.pages);
        let rate = match self.work {
            Work::Pages(_) => pages as f64 / cost.elapsed.as_secs_f64(),
            Work::Slow => crawled.of_ideal,
        };
        let memory = meter::peak_resident() as f64 / f64::from(1 << 20);
        let values = vec![micros(cost.cpu) / pages as f64, rate, memory];
        Outcome::new(cost.elapsed, values, cost, pages)
    }

    fn time_on(&self, contender: Contender, setup: Setup, times: u64) -> Duration {
        (0..times).map(|_| self.run_on(contender, setup).time).sum()
    }
}
