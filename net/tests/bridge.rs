//! Libraries that call tokio's `spawn`, timers and sockets, run by Heist.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use heist_net::bridge::{TokioBridge, in_tokio};
use heist_net::{TcpListener, hyper::serve_tower};
use heist_runtime::{Builder, block_on, spawn};
use heist_sync::time::timeout;
use http::{Request, Response, StatusCode};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// tower's `buffer` spawns a worker with tokio, and its `timeout` sleeps with tokio. Control: leave `in_tokio` out, and
/// both panic.
#[test]
fn layers_that_need_tokio() {
    block_on(async {
        let answer = in_tokio(async {
            let double = service_fn(async |n: u64| {
                tokio::time::sleep(Duration::from_millis(n)).await;
                Ok::<_, Infallible>(2 * n)
            });
            let mut service = ServiceBuilder::new()
                .buffer(8)
                .timeout(Duration::from_millis(300))
                .service(double);
            let fast = service.ready().await.unwrap().call(21).await;
            let slow = service.ready().await.unwrap().call(60_000).await;
            (
                fast.unwrap(),
                slow.unwrap_err().is::<tower::timeout::error::Elapsed>(),
            )
        });
        assert_eq!(answer.await, (42, true));
    });
}

/// The whole of a service behind our server, each request on the bridge. The layer calls tokio before there is a future
/// of its own, so the call is made inside as well.
#[test]
fn a_service_that_needs_tokio() {
    block_on(async {
        let app = ServiceBuilder::new()
            .layer(tower_http::timeout::TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                Duration::from_millis(100),
            ))
            .service(service_fn(
                async |request: Request<heist_net::hyper::Incoming>| {
                    if request.uri().path() == "/slow" {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    let worker = tokio::spawn(async { "from a task of tokio's" });
                    Ok::<_, Infallible>(Response::new(worker.await.unwrap().to_owned()))
                },
            ));
        let app = service_fn(move |request| in_tokio(app.oneshot(request)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = spawn(std::future::IntoFuture::into_future(serve_tower(
            listener, app,
        )));
        let client = heist_net::http::Client::new();
        let fast = client.get(format!("{url}/")).send().await.unwrap();
        assert_eq!(fast.text().await.unwrap(), "from a task of tokio's");
        let slow = client.get(format!("{url}/slow")).send().await.unwrap();
        assert_eq!(slow.status(), StatusCode::GATEWAY_TIMEOUT);
        let _ = server.cancel_and_join().await;
    });
}

/// tokio's sockets and ours, over each other, on each profile's workers.
#[test]
fn sockets_of_both() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(bytes) = stream.recv().await.unwrap() {
                stream.write_all(&bytes).await.unwrap();
            }
        });
        let client = spawn(in_tokio(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut back = [0; 5];
            for _ in 0..100 {
                stream.write_all(b"hello").await.unwrap();
                stream.read_exact(&mut back).await.unwrap();
            }
            back
        }));
        assert_eq!(&client.await.unwrap(), b"hello");
        echo.await.unwrap();
    });
}

/// Dropped or cancelled half-way, what is inside is dropped inside. Control: drop it without entering.
#[test]
fn drops_are_inside() {
    struct Inside(Arc<AtomicBool>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0
                .store(tokio::runtime::Handle::try_current().is_ok(), SeqCst);
        }
    }
    let waiting = |seen: &Arc<AtomicBool>| {
        let inside = Inside(seen.clone());
        in_tokio(async move {
            let _inside = inside;
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
    };
    let seen = Arc::new(AtomicBool::new(false));
    drop(waiting(&seen));
    assert!(seen.swap(false, SeqCst), "never polled");
    block_on(async {
        let began = Instant::now();
        let late = timeout(Duration::from_millis(20), waiting(&seen)).await;
        assert!(late.is_err());
        assert!(seen.swap(false, SeqCst), "timed out");
        let task = spawn(waiting(&seen));
        heist_sync::time::sleep(Duration::from_millis(5)).await;
        assert!(task.cancel_and_join().await.unwrap_err().is_cancelled());
        assert!(seen.load(SeqCst), "cancelled");
        assert!(began.elapsed() < Duration::from_secs(10));
    });
    assert!(
        tokio::runtime::Handle::try_current().is_err(),
        "nothing stays entered"
    );
}

/// A runtime of tokio's that is there already, or one of the program's own, which ends without blocking a worker.
#[test]
fn runtimes_of_ones_choice() {
    let theirs = tokio::runtime::Builder::new_multi_thread();
    let theirs = { theirs }.worker_threads(1).enable_all().build().unwrap();
    let name = |bridge: &TokioBridge| {
        bridge.run(async {
            let task = tokio::spawn(async { std::thread::current().name().map(str::to_owned) });
            tokio::time::sleep(Duration::from_millis(1)).await;
            task.await.unwrap().unwrap()
        })
    };
    block_on(async {
        let bridge = TokioBridge::from_handle(theirs.handle().clone());
        assert!(name(&bridge).await.contains("tokio"));
        let bridge = TokioBridge::new().unwrap();
        let last = name(&bridge);
        drop(bridge);
        assert_eq!(last.await, "tokio-bridge");
    });
}
