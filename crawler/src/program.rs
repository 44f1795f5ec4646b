//! The program `heist-crawl`, from arguments to exit status.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use heist::{Builder, Runtime};

use crate::signals::Interrupt;
use crate::site::{Site, SiteServer};
use crate::{Args, Crawler, JsonLines, Progress, Summary, output};

/// Time that cancelled fetches get to let go of the network.
const GRACE: Duration = Duration::from_secs(1);

/// Seed of the embedded site. Any would do; it stays the same so that runs can be compared.
const SITE_SEED: u64 = 0x6865_6973_7400;

/// Runs the program and returns its exit status.
///
/// 0 when the crawl ended by itself, 1 when nothing could be fetched or the program could not
/// work (the reason is then on standard error), 128 plus the signal's number when a signal
/// stopped the crawl. Bad arguments never get here: parsing [`Args`] exits with 2.
#[must_use]
pub fn run(args: &Args) -> u8 {
    match try_run(args) {
        Ok(status) => status,
        Err(fault) => {
            eprintln!("heist-crawl: {fault}");
            1
        }
    }
}

fn try_run(args: &Args) -> Result<u8, String> {
    // Files come first: a crawl whose result cannot be written is better not begun.
    let lines = match &args.output {
        Some(path) => Some(JsonLines::open(path).map_err(|error| cannot_write(path, &error))?),
        None => None,
    };
    let summary_file = match &args.summary_json {
        Some(path) => Some(output::open(path).map_err(|error| cannot_write(path, &error))?),
        None => None,
    };
    let runtime = build_runtime(args)?;
    let outcome = runtime.block_on(crawl(args, lines));
    runtime.shutdown(GRACE);
    let (summary, status) = outcome?;

    if let (Some(path), Some(file)) = (&args.summary_json, summary_file) {
        write_json(file, &summary).map_err(|error| cannot_write(path, &error))?;
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

/// Crawls, and returns what was done and the exit status.
async fn crawl(args: &Args, mut lines: Option<JsonLines<File>>) -> Result<(Summary, u8), String> {
    let mut builder = Crawler::builder()
        .concurrency(args.concurrency)
        .max_pages(args.max_pages.unwrap_or(u64::MAX))
        .max_depth(args.max_depth.unwrap_or(u32::MAX))
        .timeout(args.timeout_s)
        .user_agent(&args.user_agent);
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
    let mut crawl = builder.build().map_err(|error| error.to_string())?;
    let stop = crawl.stop_handle();
    let interrupt = Interrupt::listen(stop.clone())
        .map_err(|error| format!("cannot listen for signals: {error}"))?;

    let mut progress = Progress::for_stderr(args.verbose);
    let mut fault = None;
    while let Some(record) = crawl.next().await {
        if args.verbose
            && let Some(failure) = &record.error
        {
            progress.say(&format!("heist-crawl: {}: {failure}", record.url));
        }
        progress.update(&crawl);
        if let Some(open) = &mut lines
            && open.write(&record).await.is_err()
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
    let summary = crawl.summary().clone();
    let nothing = u8::from(summary.succeeded() == 0);
    Ok((summary, interrupt.exit_status().unwrap_or(nothing)))
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
