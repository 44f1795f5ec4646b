//! How the crawl is doing, on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Crawler;
use crate::summary::Size;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Time between two redraws of the bar's text.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// Shows the state of a crawl: a live line on a terminal; plain lines elsewhere, if wanted.
#[derive(Debug)]
pub struct Progress {
    face: Face,
    last: Instant,
}

#[derive(Debug)]
enum Face {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    /// Chooses the display for standard error. Without a terminal nothing is shown unless
    /// `verbose`: a log file gains little from it.
    #[must_use]
    pub fn for_stderr(verbose: bool) -> Self {
        let face = if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            bar.set_style(style);
            // The clock runs on while every server is silent.
            bar.enable_steady_tick(Duration::from_millis(100));
            Face::Bar(bar)
        } else if verbose {
            Face::Lines
        } else {
            Face::Silent
        };
        Self {
            face,
            last: Instant::now(),
        }
    }

    /// Takes note of another record.
    pub fn update(&mut self, crawl: &Crawler) {
        let every = match self.face {
            Face::Bar(_) => DRAW_EVERY,
            Face::Lines => LINE_EVERY,
            Face::Silent => return,
        };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        match &self.face {
            Face::Bar(bar) => bar.set_message(status(crawl)),
            Face::Lines => eprintln!("heist-crawl: {}", status(crawl)),
            Face::Silent => {}
        }
    }

    /// Prints a line without disturbing the display.
    pub fn say(&self, line: &str) {
        match &self.face {
            Face::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            Face::Lines | Face::Silent => eprintln!("{line}"),
        }
    }

    /// Removes the display.
    pub fn finish(self) {
        if let Face::Bar(bar) = self.face {
            bar.finish_and_clear();
        }
    }
}

fn status(crawl: &Crawler) -> String {
    let summary = crawl.summary();
    format!(
        "{} pages, {} errors, {}, {:.0} pages/s, {} in flight, {} waiting",
        summary.pages(),
        summary.failed(),
        Size(summary.bytes() as f64),
        summary.pages_per_second(),
        crawl.in_flight(),
        crawl.waiting(),
    )
}
