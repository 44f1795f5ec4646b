//! A server that ends well when it is told to, by Ctrl-C or SIGTERM:
//! `cargo run --features hyper,signal --example graceful_shutdown -- 127.0.0.1:8081`.
//!
//! It accepts nothing more then, answers what is in flight (`GET /slow` takes two seconds), cancels what is not over after
//! five, and waits until even that is cleaned up.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use heist::net::TcpListener;
use heist::net::hyper::{Incoming, serve};
use heist::signal::{SignalKind, signal};
use heist::time::sleep;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let text = match request.uri().path() {
        "/slow" => {
            sleep(Duration::from_secs(2)).await;
            "slow, and whole\n"
        }
        "/endless" => {
            // Cleanup may await, also when the request is cancelled.
            let tidy = async |_| println!("cleaned up");
            heist::finally(sleep(Duration::MAX), tidy).await;
            "never\n"
        }
        _ => "fast\n",
    };
    Ok(Response::new(text.to_owned()))
}

/// Ready when the process is told to end.
fn told_to_end() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        heist::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        println!("draining");
        heist::spawn(async move {
            heist::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // A second one means it.
            std::process::exit(1);
        });
    })
}

#[heist::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let told_to_end = told_to_end()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = serve(listener, service_fn(answer))
        .with_graceful_shutdown(told_to_end)
        .shutdown_grace(Duration::from_secs(5));
    let metrics = server.metrics();
    server.await?;
    let last = metrics.snapshot();
    println!(
        "ended: {} requests, {} cancelled",
        last.requests, last.cancelled
    );
    Ok(())
}
