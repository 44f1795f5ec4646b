//! A TCP echo server: `cargo run --example echo_server -- 127.0.0.1:7000`.

use heist::net::{TcpListener, TcpStream};

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(bytes) = stream.recv().await? {
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let runtime = heist::Runtime::new().map_err(std::io::Error::other)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    heist::spawn(async move {
                        if let Err(error) = echo(stream).await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                Err(error) => eprintln!("accept: {error}"),
            }
        }
    })
}
