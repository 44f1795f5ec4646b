//! A chat, for any number of `nc`: `cargo run --example chat -- 127.0.0.1:7002`.
//!
//! The first line is one's name, each further one goes to all the others. Whoever does not keep up misses the oldest lines,
//! is told how many, and holds nobody back.

use std::io;
use std::sync::Arc;

use heist::io::AsyncBufReadExt;
use heist::net::{TcpListener, TcpStream};
use heist::sync::broadcast::{self, error::RecvError};

/// Lines that somebody may be behind.
const BACKLOG: usize = 256;
/// The longest line, in bytes.
const LONGEST: u64 = 4096;

#[derive(Clone)]
struct Line {
    from: u64,
    text: Arc<str>,
}

struct Room {
    lines: broadcast::Sender<Line>,
}

impl Room {
    fn say(&self, from: u64, text: String) {
        // Nobody else may be there.
        let _ = self.lines.send(Line {
            from,
            text: text.into(),
        });
    }
}

/// Says that somebody has left, however that was.
struct Present<'a> {
    room: &'a Room,
    id: u64,
    name: String,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.room.say(self.id, format!("* {} has left", self.name));
    }
}

/// The next line without its end; `None` when there is none, or it is too long.
async fn line(from: &mut (impl AsyncBufReadExt + Send)) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let there = from.fill_buf().await?;
        let end = there.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(there.len(), |end| end + 1);
        bytes.extend_from_slice(&there[..count]);
        from.consume(count);
        if end.is_some() || count == 0 || bytes.len() as u64 > LONGEST {
            let text = String::from_utf8_lossy(&bytes);
            let whole = end.is_some() && bytes.len() as u64 <= LONGEST;
            return Ok(whole.then(|| text.trim().to_owned()));
        }
    }
}

async fn visit(stream: TcpStream, room: &Room, id: u64) -> io::Result<()> {
    let (mut from, mut into) = stream.into_split();
    into.write_all(b"your name?\n").await?;
    let Some(name) = line(&mut from).await? else {
        return Ok(());
    };
    let mut lines = room.lines.subscribe();
    let present = Present { room, id, name };
    room.say(id, format!("* {} is here", present.name));
    // What is said before this one may not reach the newcomer, everything after it does.
    into.write_all(b"welcome\n").await?;
    let listening = async {
        loop {
            let text = match lines.recv().await {
                Ok(line) if line.from == id => continue,
                Ok(line) => format!("{}\n", line.text),
                Err(RecvError::Lagged(missed)) => format!("* {missed} lines are missing\n"),
                Err(RecvError::Closed) => return Ok(()),
            };
            into.write_all(text.as_bytes()).await?;
        }
    };
    let talking = async {
        while let Some(text) = line(&mut from).await? {
            room.say(id, format!("{}: {text}", present.name));
        }
        Ok(())
    };
    // Whichever ends first ends the visit.
    heist::race(listening, talking).await
}

#[heist::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:7002".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let (lines, _) = broadcast::channel(BACKLOG);
    let room = Arc::new(Room { lines });
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let room = room.clone();
                heist::spawn(async move {
                    if let Err(error) = visit(stream, &room, id).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            Err(error) => eprintln!("accept: {error}"),
        }
    }
    Ok(())
}
