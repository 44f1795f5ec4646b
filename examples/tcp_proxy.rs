//! A TCP proxy: `cargo run --example tcp_proxy -- 127.0.0.1:7001 example.org:80`.
//!
//! Short exchanges go through in the buffers in which the kernel put them, long ones through a pipe that stays in the kernel.
//! An end of sending is passed on in each direction by itself.

use std::io;
use std::time::Duration;

use heist::io::splice_bidirectional;
use heist::net::{TcpListener, TcpStream};
use heist::time::timeout;

/// How long the target may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);

async fn pass_on(mut client: TcpStream, target: &str) -> io::Result<()> {
    let connecting = timeout(PATIENCE, TcpStream::connect(target)).await;
    let mut server = connecting.map_err(|_| io::ErrorKind::TimedOut)??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    splice_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[heist::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(target)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: tcp_proxy ADDRESS TARGET, such as 127.0.0.1:7001 example.org:80");
        std::process::exit(2);
    };
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let target = target.clone();
                heist::spawn(async move {
                    if let Err(error) = pass_on(client, &target).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            // Out of descriptors, say: the next accept waits a moment.
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}
