//! An axum server, with `axum`'s feature `tokio` left out:
//! `cargo run --features hyper --example axum_server -- 127.0.0.1:8080`.
//!
//! `GET /`, `GET /hello/NAME`, `POST /sum` with a list of numbers as JSON, `GET /visits`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::{Extension, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use heist::net::TcpListener;
use heist::net::hyper::{ConnectionInfo, serve_tower};

#[derive(Clone, Default)]
struct Visits(Arc<AtomicU64>);

async fn hello(
    State(visits): State<Visits>,
    Extension(connection): Extension<ConnectionInfo<SocketAddr>>,
    Path(name): Path<String>,
) -> String {
    visits.0.fetch_add(1, Relaxed);
    let from = connection.remote_addr().ip();
    format!("hello {name} from {from}\n")
}

async fn sum(Json(numbers): Json<Vec<f64>>) -> Json<f64> {
    Json(numbers.iter().sum())
}

async fn count(State(visits): State<Visits>) -> String {
    format!("{}\n", visits.0.load(Relaxed))
}

#[heist::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(async || "axum on Heist\n"))
        .route("/hello/{name}", get(hello))
        .route("/sum", post(sum))
        .route("/visits", get(count))
        .with_state(Visits::default());
    // Where requests come from is told to those who ask for it.
    serve_tower(listener, router).connection_info(true).await
}
