//! How the crawl is doing, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use console::{Term, truncate_str};

use crate::summary::Size;
use crate::{Crawler, Statistics};

/// Time between two plain lines: for whoever wants to hear more, and for a log.
const LINE_EVERY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// Time between two pictures.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// The span of time that the rate on the display is taken from.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Hosts on the display.
const HOSTS: usize = 3;

/// Shows the state of a crawl: some lines that stay in place on a terminal; plain lines now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    face: Face,
    since: Instant,
    last: Option<Instant>,
    /// Pages and bytes at an earlier moment, and those at a later one.
    marks: [(Instant, u64, u64); 2],
}

#[derive(Debug)]
enum Face {
    /// With the lines that are on the screen.
    Screen(Term, usize),
    /// One after so much time.
    Lines(Duration),
    Silent,
}

impl Progress {
    /// Chooses the display for standard error. Without a terminal there is a line every ten seconds, or every two when
    /// it is to be `verbose`. A terminal that cannot move its cursor is none.
    #[must_use]
    pub fn for_stderr(verbose: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        let face = if io::stderr().is_terminal() && !dumb {
            Face::Screen(Term::buffered_stderr(), 0)
        } else {
            Face::Lines(LINE_EVERY[usize::from(!verbose)])
        };
        Self::new(face)
    }

    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Face::Silent)
    }

    fn new(face: Face) -> Self {
        let now = Instant::now();
        Self {
            face,
            since: now,
            last: None,
            marks: [(now, 0, 0); 2],
        }
    }

    /// How long a crawl may go on before the display wants to be [updated](Self::update); `None` when it never does.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        match self.face {
            Face::Screen(..) => Some(DRAW_EVERY),
            Face::Lines(every) => Some(every),
            Face::Silent => None,
        }
    }

    /// Shows how things are, unless it did so just now.
    pub fn update(&mut self, crawl: &Crawler, statistics: &Statistics) {
        let Some(every) = self.every() else {
            return;
        };
        let now = Instant::now();
        // The first plain line comes when there is something to say.
        let last = *self.last.get_or_insert(now);
        if now.duration_since(last) < every {
            return;
        }
        self.last = Some(now);
        let rates = self.rates(crawl, now);
        let since = now.duration_since(self.since);
        match &mut self.face {
            Face::Screen(term, lines) => {
                let picture = picture(crawl, statistics, rates, since);
                // A terminal that is gone is no failure of the crawl.
                let _ = draw(term, lines, &picture);
            }
            Face::Lines(_) => eprintln!("heist-crawl: {}", status(crawl, rates.0)),
            Face::Silent => {}
        }
    }

    /// Pages and bytes a second, of late.
    fn rates(&mut self, crawl: &Crawler, now: Instant) -> (f64, f64) {
        let (pages, bytes) = (
            crawl.summary().pages() - crawl.summary().earlier(),
            crawl.summary().bytes(),
        );
        if now.duration_since(self.marks[1].0) >= RATE_OVER {
            self.marks = [self.marks[1], (now, pages, bytes)];
        }
        let (at, pages_then, bytes_then) = self.marks[0];
        let seconds = now.duration_since(at).as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (rate(pages, pages_then), rate(bytes, bytes_then))
    }

    /// Prints a line without disturbing the display.
    pub fn say(&mut self, line: &str) {
        if let Face::Screen(term, lines) = &mut self.face {
            let _ = term
                .clear_last_lines(std::mem::take(lines))
                .and_then(|()| term.flush());
        }
        eprintln!("{line}");
    }

    /// Removes the display.
    pub fn finish(mut self) {
        if let Face::Screen(term, lines) = &mut self.face {
            let _ = term
                .clear_last_lines(std::mem::take(lines))
                .and_then(|()| term.flush());
        }
    }
}

fn draw(term: &mut Term, lines: &mut usize, picture: &[String]) -> io::Result<()> {
    let (height, width) = term.size();
    term.clear_last_lines(std::mem::take(lines))?;
    // A line that wraps, or a picture that scrolls, could not be removed again.
    for line in picture.iter().take(usize::from(height).saturating_sub(1)) {
        writeln!(
            term,
            "{}",
            truncate_str(line, usize::from(width).saturating_sub(1), "…")
        )?;
        *lines += 1;
    }
    term.flush()
}

/// What a terminal shows.
fn picture(
    crawl: &Crawler,
    statistics: &Statistics,
    rates: (f64, f64),
    since: Duration,
) -> Vec<String> {
    let summary = crawl.summary();
    let seconds = since.as_secs();
    let mut lines = vec![
        format!(
            "{:02}:{:02}:{:02}  {} pages  {:.0} pages/s  {}  {}/s",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            summary.pages(),
            rates.0,
            Size(summary.bytes() as f64),
            Size(rates.1),
        ),
        format!(
            "          {} in flight  {} in the queue  {} errors  {} retries  median {:.1} ms, 99 % {:.1} ms",
            crawl.in_flight(),
            crawl.waiting(),
            summary.failed(),
            summary.retries(),
            statistics.quantile(0.5),
            statistics.quantile(0.99),
        ),
    ];
    let hosts = statistics.slowest_hosts(HOSTS);
    if hosts.len() > 1 {
        for (name, host) in hosts {
            let mean = host.total_ms / host.pages as f64;
            lines.push(format!(
                "          {mean:>8.1} ms  {:>6} pages  {name}",
                host.pages
            ));
        }
    }
    lines
}

fn status(crawl: &Crawler, rate: f64) -> String {
    let summary = crawl.summary();
    format!(
        "{} pages, {} errors, {}, {rate:.0} pages/s, {} in flight, {} waiting",
        summary.pages(),
        summary.failed(),
        Size(summary.bytes() as f64),
        crawl.in_flight(),
        crawl.waiting(),
    )
}
