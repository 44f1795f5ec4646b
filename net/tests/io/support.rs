//! Chance, impatience, connections, and a reader that follows a script.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use heist_net::io::{AsyncRead, AsyncWrite, Unread};
use heist_net::{RecvBuf, TcpListener, TcpStream};
use heist_runtime::yield_now;

/// A generator of numbers (xorshift64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// `bytes` cut into pieces of 1 to `most` bytes.
    pub(crate) fn cut<'a>(&mut self, mut bytes: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((1 + self.below(most)).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// Polls `future` at most `polls` times and drops it when it is not ready by then.
pub(crate) async fn impatient<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Tries again and again with new futures, each dropped after 0 to 2 polls.
pub(crate) async fn stubborn<T>(chance: &mut Chance, mut attempt: impl AsyncFnMut() -> T) -> T {
    loop {
        if let Some(output) = impatient(attempt(), chance.below(3)).await {
            return output;
        }
        yield_now().await;
    }
}

/// Numbered bytes, so that one that is lost or comes twice is noticed.
pub(crate) fn numbered(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i % 251) as u8 ^ (i / 251) as u8)
        .collect()
}

/// Both ends of a connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Sends `bytes` in small pieces, with pauses in between, and ends the direction.
pub(crate) async fn dribble(mut stream: TcpStream, bytes: Vec<u8>, seed: u64) -> TcpStream {
    let mut chance = Chance::new(seed);
    for piece in chance.cut(&bytes, 7) {
        stream.write_all(piece).await.unwrap();
        for _ in 0..chance.below(3) {
            yield_now().await;
        }
    }
    stream.shutdown(std::net::Shutdown::Write).await.unwrap();
    stream
}

/// A reader that yields pieces, and is pending before some of them. Then its end, or an error once.
pub(crate) struct Script {
    unread: Unread,
    steps: VecDeque<Option<io::Result<Vec<u8>>>>,
}

impl Script {
    /// `bytes` in pieces of at most `most`, pending at random.
    pub(crate) fn new(bytes: &[u8], most: usize, chance: &mut Chance) -> Self {
        let mut steps = VecDeque::new();
        for piece in chance.cut(bytes, most) {
            while chance.below(2) == 0 {
                steps.push_back(None);
            }
            steps.push_back(Some(Ok(piece.to_vec())));
        }
        Self {
            unread: Unread::new(),
            steps,
        }
    }

    pub(crate) fn then_fails(mut self, kind: io::ErrorKind) -> Self {
        self.steps.push_back(Some(Err(kind.into())));
        self
    }
}

impl AsyncRead for Script {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        match self.steps.pop_front() {
            None => Poll::Ready(Ok(None)),
            Some(Some(piece)) => Poll::Ready(piece.map(|piece| Some(piece.into()))),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

/// A writer that takes a few bytes at a time, is pending at random, and fails once at a byte of choice.
pub(crate) struct Sink {
    pub(crate) taken: Vec<u8>,
    pub(crate) flushed: usize,
    pub(crate) is_shut: bool,
    fails_at: Option<usize>,
    most: usize,
    chance: Chance,
}

impl Sink {
    pub(crate) fn new(most: usize, seed: u64) -> Self {
        Self {
            taken: Vec::new(),
            flushed: 0,
            is_shut: false,
            fails_at: None,
            most,
            chance: Chance::new(seed),
        }
    }

    pub(crate) fn failing_at(mut self, at: usize) -> Self {
        self.fails_at = Some(at);
        self
    }

    fn hesitate(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.chance.below(2) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl AsyncWrite for Sink {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.hesitate(cx));
        let mut count = bytes.len().min(1 + self.chance.below(self.most));
        if let Some(at) = self.fails_at {
            if at == self.taken.len() {
                self.fails_at = None;
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            count = count.min(at - self.taken.len());
        }
        self.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.hesitate(cx));
        self.flushed = self.taken.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.is_shut = true;
        Poll::Ready(Ok(()))
    }
}
