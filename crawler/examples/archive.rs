//! Archives a site as a WARC file, and goes on from where it was when it is started again.
//!
//! ```console
//! cargo run --release -p heist-crawler --example archive -- https://example.org/ example.warc.gz
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use heist_crawler::{Crawler, WarcStore};

#[heist::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(site), Some(file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: archive URL FILE");
        return Ok(ExitCode::from(2));
    };
    let archive = Arc::new(WarcStore::open(file.as_ref())?);
    let summary = Crawler::builder()
        .seed(&site)?
        .sitemaps(true)
        // What is stored is then what was sent.
        .compression(false)
        .store(archive)
        .journal(PathBuf::from(format!("{file}.journal")))
        .build()?
        .run()
        .await?;
    println!("{summary}");
    Ok(ExitCode::SUCCESS)
}
