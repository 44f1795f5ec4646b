//! The program `heist-crawl`, from arguments to exit status.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::CommandFactory;
use heist::net::http::Proxy;
use heist::net::http::cookie::Jar;
use heist::time::timeout;
use heist::{Builder, Runtime};

#[cfg(feature = "redis")]
use crate::RedisFrontier;
use crate::output::Resumed;
use crate::signals::Interrupt;
use crate::site::{Site, SiteServer};
use crate::{
    Args, Crawler, CrawlerBuilder, JsonLines, Politeness, Progress, QueueFrontier, Record,
    Statistics, Summary, WarcStore, output,
};

/// Time that cancelled fetches get to let go of the network.
const GRACE: Duration = Duration::from_secs(1);

/// Time that a notice may wait when nothing else happens.
const NOTICES_EVERY: Duration = Duration::from_secs(1);

/// Seed of the embedded site. Any would do; it stays the same so that runs can be compared.
const SITE_SEED: u64 = 0x6865_6973_7400;

/// Runs the program and returns its exit status.
///
/// 0 when the crawl ended by itself, 1 when nothing could be fetched or the program could not
/// work (the reason is then on standard error), 128 plus the signal's number when a signal
/// stopped the crawl. Bad arguments never get here: [`Args::read`] refuses them, and their status is 2.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let outcome = match args.completions {
        Some(shell) => {
            clap_complete::generate(
                shell,
                &mut Args::command(),
                "heist-crawl",
                &mut io::stdout(),
            );
            Ok(0)
        }
        None if args.man => print_manual(),
        #[cfg(feature = "redis")]
        None if args.frontier_clear => clear_frontier(args),
        None => try_run(args),
    };
    match outcome {
        Ok(status) => status,
        Err(fault) => {
            eprintln!("heist-crawl: {fault}");
            1
        }
    }
}

fn print_manual() -> Result<u8, String> {
    let manual = clap_mangen::Man::new(Args::command());
    match manual.render(&mut io::stdout()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(0),
    }
}

/// Where the results of a crawl go.
struct Outputs {
    lines: Option<JsonLines<File>>,
    summary: Option<File>,
    report: Option<File>,
    archive: Option<Arc<WarcStore>>,
}

impl Outputs {
    /// Files come first: a crawl whose result cannot be written is better not begun.
    fn open(args: &Args) -> Result<Self, String> {
        let open = |path: &Path| output::open(path).map_err(|error| cannot_write(path, &error));
        let lines = args
            .output
            .as_deref()
            .map(|path| open_lines(args, path))
            .transpose()?;
        let archive = args.warc.as_deref().map(|path| {
            let archive = WarcStore::open(path).map_err(|error| cannot_write(path, &error))?;
            Ok::<_, String>(Arc::new(archive))
        });
        Ok(Self {
            lines,
            summary: args.summary_json.as_deref().map(open).transpose()?,
            report: args.report.as_deref().map(open).transpose()?,
            archive: archive.transpose()?,
        })
    }
}

/// Whether the crawl has one frontier with others.
fn shares(args: &Args) -> bool {
    #[cfg(feature = "redis")]
    let shares = args.frontier.is_some();
    #[cfg(not(feature = "redis"))]
    let shares = {
        let _ = args;
        false
    };
    shares
}

/// What is to be told to people while the crawl goes on, and does not come from itself.
type Notices = Arc<Mutex<Vec<String>>>;

/// The frontier that the arguments name.
#[cfg(feature = "redis")]
fn named_frontier(args: &Args) -> Result<Option<RedisFrontier>, String> {
    let Some(frontier) = args.frontier.clone() else {
        return Ok(None);
    };
    #[cfg(feature = "https")]
    let frontier = certified(args, frontier)?;
    let frontier = frontier
        .name(&*args.frontier_name)
        .map_err(|error| error.to_string())?
        .lease(args.frontier_lease)
        .keep(Some(args.frontier_keep));
    Ok(Some(frontier))
}

/// Joins the frontier that the arguments name.
#[cfg(feature = "redis")]
async fn share(
    args: &Args,
    builder: CrawlerBuilder,
    notices: &Notices,
) -> Result<CrawlerBuilder, String> {
    let Some(frontier) = named_frontier(args)? else {
        return Ok(builder);
    };
    let notices = Arc::clone(notices);
    let frontier = frontier.on_notice(move |text| {
        let mut notices = notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.push(text.to_owned());
    });
    frontier.check().await.map_err(|error| error.to_string())?;
    Ok(builder.shared(frontier))
}

/// Has the server forget the crawl that the arguments name.
#[cfg(feature = "redis")]
fn clear_frontier(args: &Args) -> Result<u8, String> {
    let Some(frontier) = named_frontier(args)? else {
        return Err("`--frontier-clear` needs `--frontier`".to_owned());
    };
    let cleared = build_runtime(args)?.block_on(frontier.clear());
    let there_was_one = cleared.map_err(|error| error.to_string())?;
    if !args.quiet {
        let name = &args.frontier_name;
        eprintln!(
            "heist-crawl: {}",
            if there_was_one {
                format!("the crawl `{name}` is forgotten")
            } else {
                format!("there is no crawl `{name}`")
            }
        );
    }
    Ok(0)
}

/// Reads the certificates that the arguments name.
#[cfg(all(feature = "redis", feature = "https"))]
fn certified(args: &Args, mut frontier: RedisFrontier) -> Result<RedisFrontier, String> {
    let read = |flag: &str, path: &Path| {
        std::fs::read(path).map_err(|error| format!("`--{flag} {}`: {error}", path.display()))
    };
    if let Some(path) = &args.frontier_ca {
        frontier = frontier
            .root_certificates(read("frontier-ca", path)?)
            .map_err(|error| format!("`--frontier-ca {}`: {error}", path.display()))?;
    }
    if let (Some(path), Some(key)) = (&args.frontier_cert, &args.frontier_key) {
        frontier = frontier
            .client_certificate(read("frontier-cert", path)?, read("frontier-key", key)?)
            .map_err(|error| format!("`--frontier-cert {}`: {error}", path.display()))?;
    }
    Ok(frontier)
}

#[cfg(not(feature = "redis"))]
async fn share(_: &Args, builder: CrawlerBuilder, _: &Notices) -> Result<CrawlerBuilder, String> {
    Ok(builder)
}

/// The lines of the output. Where a journal goes on, they go on too: what the file lacks of the journal is added.
fn open_lines(args: &Args, path: &Path) -> Result<JsonLines<File>, String> {
    let cannot = |error: io::Error| cannot_write(path, &error);
    if shares(args) && path.as_os_str() != "-" {
        // An earlier crawler may have written there what is done for all.
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_file() {
            Resumed::of(&mut file).map_err(cannot)?;
        }
        return JsonLines::new(file).map_err(cannot);
    }
    let journal = args.journal.as_deref().filter(|journal| journal.exists());
    let (Some(journal), true) = (journal, path.is_file()) else {
        let mut file = output::open(path).map_err(cannot)?;
        if let Some(journal) = journal {
            // The file is new, or no file: it gets everything.
            Resumed::default()
                .catch_up(journal, &mut file)
                .map_err(cannot)?;
        }
        return JsonLines::new(file).map_err(cannot);
    };
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .open(path)
        .map_err(cannot)?;
    let resumed = Resumed::of(&mut file).map_err(cannot)?;
    resumed.catch_up(journal, &mut file).map_err(cannot)?;
    JsonLines::new(file).map_err(cannot)
}

fn try_run(args: &Args) -> Result<u8, String> {
    let mut outputs = Outputs::open(args)?;
    let (summary_file, report_file) = (outputs.summary.take(), outputs.report.take());
    let runtime = build_runtime(args)?;
    let mut statistics = Statistics::new();
    let outcome = runtime.block_on(crawl(args, outputs, &mut statistics));
    runtime.shutdown(GRACE);
    let (summary, status) = outcome?;

    if let (Some(path), Some(file)) = (&args.summary_json, summary_file) {
        write_json(file, &summary).map_err(|error| cannot_write(path, &error))?;
    }
    if let (Some(path), Some(mut file)) = (&args.report, report_file) {
        let page = statistics.html(&summary);
        file.write_all(page.as_bytes())
            .map_err(|error| cannot_write(path, &error))?;
    }
    if args.quiet {
        return Ok(status);
    }
    if args.stdout_is_taken() {
        eprintln!("{summary}");
    } else {
        // Nobody left to read the table is no failure of the crawl.
        let _ = writeln!(io::stdout(), "{summary}");
    }
    Ok(status)
}

fn build_runtime(args: &Args) -> Result<Runtime, String> {
    let mut builder = Builder::new();
    if let Some(workers) = args.workers {
        builder = builder.worker_threads(workers);
    }
    builder
        .thread_name("heist-crawl")
        .build()
        .map_err(|error| error.to_string())
}

/// What the arguments say about the crawl, except where it starts.
fn configure(args: &Args, archive: Option<Arc<WarcStore>>) -> Result<CrawlerBuilder, String> {
    let mut politeness = Politeness::new()
        .most_crawl_delay(args.max_crawl_delay)
        .error_budget(args.error_budget);
    if let Some(delay) = args.delay {
        politeness = politeness.delay(delay);
    }
    if let Some(most) = args.per_host {
        politeness = politeness.per_host(most);
    }
    if let Some(most) = args.per_address {
        politeness = politeness.per_address(most);
    }
    if let Some(follow) = args.robots {
        politeness = politeness.robots(follow);
    }
    let mut builder = Crawler::builder()
        .concurrency(args.concurrency)
        .max_pages(args.max_pages.unwrap_or(u64::MAX))
        .max_pages_per_host(args.max_pages_per_host.unwrap_or(u64::MAX))
        .max_depth(args.max_depth.unwrap_or(u32::MAX))
        .max_bytes(args.max_bytes.unwrap_or(u64::MAX))
        .max_body(args.max_body)
        .timeout(args.timeout_s)
        .retries(args.retries)
        .user_agent(&args.user_agent)
        .politeness(politeness)
        .reach(args.reach)
        .sitemaps(args.sitemaps)
        .unique_content(args.unique_content)
        .block_private_addresses(args.block_private)
        // An archive wants bodies as they were sent.
        .compression(archive.is_none());
    if !shares(args) {
        let queues = QueueFrontier::new().in_memory(args.queue_memory);
        builder = builder.frontier(Box::new(queues));
    }
    if let Some(time) = args.max_time {
        builder = builder.max_time(time);
    }
    for pattern in &args.include {
        builder = builder
            .include(pattern)
            .map_err(|error| error.to_string())?;
    }
    for pattern in &args.exclude {
        builder = builder
            .exclude(pattern)
            .map_err(|error| error.to_string())?;
    }
    for (name, value) in &args.header {
        builder = builder.header(name.clone(), value.clone());
    }
    if let Some(user) = &args.user {
        builder = builder.authorization(user.clone());
    }
    if let Some(proxy) = &args.proxy {
        let proxy = Proxy::all(&**proxy).map_err(|error| format!("`--proxy {proxy}`: {error}"))?;
        builder = builder.proxy(proxy);
    }
    if args.cookies || !args.cookie.is_empty() {
        let jar = Jar::default();
        for (url, cookie) in args
            .urls
            .iter()
            .flat_map(|url| args.cookie.iter().map(move |cookie| (url, cookie)))
        {
            jar.add_cookie_str(&format!("{cookie}; Path=/"), &url.to_url());
        }
        builder = builder.cookies(Arc::new(jar));
    }
    if let Some(archive) = archive {
        builder = builder.store(archive);
    }
    Ok(match &args.journal {
        Some(path) => builder.journal(path),
        None => builder,
    })
}

/// Crawls, and returns what was done and the exit status.
async fn crawl(
    args: &Args,
    outputs: Outputs,
    statistics: &mut Statistics,
) -> Result<(Summary, u8), String> {
    let mut lines = outputs.lines;
    let mut builder = configure(args, outputs.archive)?;
    // Kept until the end of the crawl: dropping the server would close it.
    let mut server = None;
    if args.urls.is_empty() {
        let site = Site::new(args.pages.get(), SITE_SEED);
        let started = SiteServer::start("127.0.0.1:0", site, args.delay_ms)
            .await
            .map_err(|error| format!("cannot serve the embedded site on loopback: {error}"))?;
        builder = builder
            .seed(started.url())
            .map_err(|error| error.to_string())?;
        server = Some(started);
    }
    for url in &args.urls {
        builder = builder
            .seed(url.as_str())
            .map_err(|error| error.to_string())?;
    }
    let notices = shares(args).then(Notices::default);
    if let Some(notices) = &notices {
        builder = share(args, builder, notices).await?;
    }
    let mut crawl = builder.build().map_err(|error| error.to_string())?;
    let stop = crawl.stop_handle();
    let interrupt = Interrupt::listen(stop.clone())
        .map_err(|error| format!("cannot listen for signals: {error}"))?;

    let mut progress = if args.quiet {
        Progress::silent()
    } else {
        Progress::for_stderr(args.verbose)
    };
    // Figures cost little, but a crawl that shows them to nobody need not gather them.
    let counting = args.report.is_some() || progress.every().is_some();
    let started = Instant::now();
    let (mut fault, mut first_failure) = (None, None);
    while let Some(record) = next(&mut crawl, &mut progress, statistics, &notices).await {
        if args.verbose
            && let Some(failure) = &record.error
        {
            progress.say(&format!("heist-crawl: {}: {failure}", record.url));
        }
        if first_failure.is_none()
            && let Some(failure) = &record.error
        {
            first_failure = Some(format!("{}: {failure}", record.url));
        }
        if counting {
            statistics.add(&record, started.elapsed());
            progress.update(&crawl, statistics);
        }
        if let Some(open) = &mut lines
            && write(open, &record, shares(args)).await.is_err()
        {
            // The writer has ended. Its error says whether that is one.
            fault = finish(args, lines.take());
            stop.stop();
        }
    }
    progress.finish();
    drop(server);
    if let Some(fault) = fault.or_else(|| finish(args, lines)) {
        return Err(fault);
    }
    if let Some(fault) = crawl.fault() {
        return Err(format!("the crawl cannot go on: {fault}"));
    }
    let summary = crawl.summary().clone();
    let nothing = crawl.succeeded_by_all() == 0;
    let interrupted = interrupt.exit_status();
    if let (true, None, Some(failure)) = (nothing, interrupted, first_failure) {
        eprintln!("heist-crawl: nothing could be fetched: {failure}");
    }
    Ok((summary, interrupted.unwrap_or(nothing.into())))
}

/// Puts a record into the output. A page of a shared frontier is done when the next record is asked for, so its line
/// has to be in the hands of the kernel before.
async fn write(
    lines: &mut JsonLines<File>,
    record: &Record,
    before_the_next: bool,
) -> io::Result<()> {
    lines.write(record).await?;
    if before_the_next {
        lines.flush().await?;
    }
    Ok(())
}

/// The next record. The clock of the display runs on while every server is silent.
async fn next(
    crawl: &mut Crawler,
    progress: &mut Progress,
    statistics: &Statistics,
    notices: &Option<Notices>,
) -> Option<Record> {
    let Some(every) = progress.every().or(notices.as_ref().map(|_| NOTICES_EVERY)) else {
        return crawl.next().await;
    };
    loop {
        let record = timeout(every, crawl.next()).await;
        let said = notices.as_ref().map(|notices| {
            std::mem::take(&mut *notices.lock().unwrap_or_else(PoisonError::into_inner))
        });
        for text in said.into_iter().flatten() {
            progress.say(&format!("heist-crawl: {text}"));
        }
        match record {
            Ok(record) => return record,
            Err(_) => progress.update(crawl, statistics),
        }
    }
}

/// Ends the output. A reader that has seen enough (`head`) is no fault.
fn finish(args: &Args, lines: Option<JsonLines<File>>) -> Option<String> {
    let error = lines?.finish().err()?;
    let path = args.output.as_deref().unwrap_or(Path::new("-"));
    (error.kind() != io::ErrorKind::BrokenPipe).then(|| cannot_write(path, &error))
}

fn write_json(mut file: File, summary: &Summary) -> io::Result<()> {
    let mut text = serde_json::to_string(summary)?;
    text.push('\n');
    file.write_all(text.as_bytes())
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write `{}`: {error}", path.display())
}
