//! Which types may be sent to and shared with other threads. A promise that is broken does not compile; what
//! must not compile is in `ui/bounds`.

use std::fmt::Debug;

fn send<T: Send>() {}
fn both<T: Send + Sync + 'static>() {}
fn debug<T: Debug>() {}
fn send_value<T: Send>(_: &T) {}

#[test]
fn the_runtime_is_shared_by_threads() {
    both::<heist::Runtime>();
    both::<heist::Handle>();
    both::<heist::Builder>();
    both::<heist::BuildError>();
    both::<heist::RuntimeMetrics>();
    debug::<heist::Runtime>();
}

#[test]
fn handles_of_tasks_go_anywhere() {
    both::<heist::JoinHandle<String>>();
    // Shared, it gives nothing of the output away.
    both::<heist::JoinHandle<std::cell::Cell<u8>>>();
    both::<heist::task::AbortHandle>();
    both::<heist::JoinError>();
    both::<heist::task::Id>();
    both::<heist::task::YieldNow>();
}

#[cfg(feature = "sync")]
#[test]
fn so_does_what_waits() {
    use heist::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
    use heist::time::{Interval, Sleep, Timeout};

    both::<heist::time::Instant>();
    both::<Sleep>();
    both::<Interval>();
    both::<Timeout<std::future::Pending<()>>>();
    both::<Semaphore>();
    both::<SemaphorePermit<'static>>();
    both::<OwnedSemaphorePermit>();
    send::<heist::sync::JoinAll<std::future::Pending<()>>>();

    let semaphore = std::sync::Arc::new(Semaphore::new(1));
    send_value(&semaphore.acquire());
    send_value(&semaphore.clone().acquire_owned());
    send_value(&heist::time::interval(heist::time::Duration::from_secs(1)).tick());
}

#[cfg(feature = "net")]
#[test]
fn connections_go_anywhere() {
    both::<heist::net::TcpStream>();
    both::<heist::net::TcpListener>();
    both::<heist::net::OwnedReadHalf>();
    both::<heist::net::OwnedWriteHalf>();
    both::<heist::net::http::Client>();
    send_value(&heist::net::TcpStream::connect("127.0.0.1:1"));
}
