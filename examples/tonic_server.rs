//! A gRPC server with tonic, whose own transport, which needs tokio, is left out:
//! `cargo run --features hyper --example tonic_server -- 127.0.0.1:50051`.
//!
//! The service is what `tonic-build` would make of this, written by hand so that no `protoc` is needed:
//!
//! ```proto
//! package heist.example;
//! service Greeter {
//!   rpc SayHello (HelloRequest) returns (HelloReply);
//!   rpc CountDown (CountRequest) returns (stream CountReply);
//! }
//! message HelloRequest { string name = 1; }
//! message HelloReply { string message = 1; }
//! message CountRequest { uint32 from = 1; }
//! message CountReply { uint32 number = 1; }
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use heist::net::TcpListener;
use heist::net::hyper::serve_tower;
use heist::stream::{Stream, generate};
use tonic::body::Body;
use tonic::codegen::http::{Request as HttpRequest, Response as HttpResponse};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct HelloRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HelloReply {
    #[prost(string, tag = "1")]
    message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CountRequest {
    #[prost(uint32, tag = "1")]
    from: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CountReply {
    #[prost(uint32, tag = "1")]
    number: u32,
}

struct SayHello;

impl UnaryService<HelloRequest> for SayHello {
    type Response = HelloReply;
    type Future = BoxFuture<Response<HelloReply>, Status>;

    fn call(&mut self, request: Request<HelloRequest>) -> Self::Future {
        Box::pin(async move {
            let name = request.into_inner().name;
            if name.is_empty() {
                return Err(Status::invalid_argument("`name` is empty"));
            }
            Ok(Response::new(HelloReply {
                message: format!("hello {name}"),
            }))
        })
    }
}

struct CountDown;

impl ServerStreamingService<CountRequest> for CountDown {
    type Response = CountReply;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<CountReply, Status>> + Send>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<CountRequest>) -> Self::Future {
        Box::pin(async move {
            let from = request.into_inner().from;
            let numbers: Self::ResponseStream = Box::pin(generate(async move |numbers| {
                for number in (0..=from).rev() {
                    numbers.emit(Ok(CountReply { number })).await;
                    heist::time::sleep(Duration::from_millis(1)).await;
                }
            }));
            Ok(Response::new(numbers))
        })
    }
}

/// The service, by the paths of its methods.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "heist.example.Greeter";
}

impl Service<HttpRequest<Body>> for Greeter {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next();
            Ok(match method {
                Some("SayHello") => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.unary(SayHello, request).await
                }
                Some("CountDown") => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.server_streaming(CountDown, request).await
                }
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

#[heist::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    serve_tower(listener, Routes::new(Greeter))
        .http2_only()
        .await
}
