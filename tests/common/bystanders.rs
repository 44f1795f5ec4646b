//! Runs something bad beside others that must not notice.

use std::future::Future;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::time::sleep;
use heist::{Runtime, spawn, yield_now};

use super::{STEALING, Watchdog, builder};

/// What others do meanwhile: yield, sleep, spawn and talk over TCP.
pub(crate) async fn bystander(rounds: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("works");
    let address = listener.local_addr().expect("works");
    let server = spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("works");
        while let Some(bytes) = stream.recv().await.expect("works") {
            stream.write_all(&bytes).await.expect("works");
        }
    });
    let mut stream = TcpStream::connect(address).await.expect("works");
    for _ in 0..rounds {
        stream.write_all(b"still here").await.expect("works");
        stream.read_exact(&mut [0; 10]).await.expect("works");
        yield_now().await;
        sleep(Duration::from_micros(300)).await;
        spawn(async {}).await.expect("works");
    }
    drop(stream);
    server.await.expect("works");
}

/// Runs `bad` beside bystanders on all kinds of runtimes.
pub(crate) fn beside_others<F>(what: &'static str, bad: impl Fn() -> F)
where
    F: Future<Output = ()>,
{
    let _watchdog = Watchdog::new(what, 60);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let runtime = builder(workers, profile).build().expect("a runtime");
            runtime.block_on(async {
                let others: Vec<_> = (0..8).map(|_| spawn(bystander(10))).collect();
                for _ in 0..5 {
                    bad().await;
                }
                for other in others {
                    other.await.expect("works");
                }
            });
            is_sound(runtime, workers);
        }
    }
}

/// Every worker still works, and the end is clean.
pub(crate) fn is_sound(runtime: Runtime, workers: usize) {
    runtime.block_on(async {
        let others: Vec<_> = (0..4 * workers).map(|_| spawn(bystander(2))).collect();
        for other in others {
            other.await.expect("works");
        }
    });
    let report = runtime.shutdown(Duration::from_secs(5));
    assert!(report.is_clean(), "{report:?}");
}
