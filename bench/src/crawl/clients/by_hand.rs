//! A GET on tokio's socket: what is left when everything is left out.

use std::{io::Write as _, net::SocketAddr};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::AGENT;
use crate::crawl::{
    pages::Tally,
    plan::{Client, Page},
};

#[derive(Debug)]
pub(super) struct ByHand {
    server: SocketAddr,
}

impl ByHand {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server }
    }
}

/// A connection with its buffers.
#[derive(Debug)]
pub(super) struct Session {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Box<[u8]>,
}

/// Bytes that are asked for at once.
const BUFFER: usize = 16 << 10;

impl Client for ByHand {
    type Session = Session;

    async fn open(&self, server: SocketAddr) -> Session {
        let stream = TcpStream::connect(server).await.expect("somebody listens");
        stream.set_nodelay(true).expect("TCP has this option");
        Session {
            stream,
            request: Vec::new(),
            buffer: vec![0; BUFFER].into(),
        }
    }

    async fn get(&self, session: &mut Session, page: &Page, tally: &mut Tally) {
        let Session {
            stream,
            request,
            buffer,
        } = session;
        request.clear();
        let (path, server) = (page.path(), self.server);
        write!(
            request,
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n\r\n"
        )
        .expect("memory takes what is written");
        stream.write_all(request).await.expect("the server reads");
        let mut filled = 0;
        let head = loop {
            let read = stream.read(&mut buffer[filled..]).await;
            let read = read.expect("the server answers");
            assert_ne!(read, 0, "the server stays, and its head is short");
            filled += read;
            if let Some(end) = memmem::find(&buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = content_length(&buffer[..head]).expect("a page has a length");
        tally.scan(&buffer[head..filled]);
        let mut missing = length - (filled - head);
        while missing > 0 {
            let read = stream.read(buffer).await.expect("the server goes on");
            assert_ne!(read, 0, "the server stays");
            tally.scan(&buffer[..read]);
            missing -= read;
        }
    }
}

/// Looks for the length in a head with the status 200.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    if !lines.next()?.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if !name.eq_ignore_ascii_case("content-length") {
            return None;
        }
        value.trim().parse().ok()
    })
}
