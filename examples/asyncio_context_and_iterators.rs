//! "Async Context Managers and Iterators", the fourth chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_context_and_iterators`. The Python is in
//! `tests/chapters/asyncio_context_and_iterators.py`.

use std::fmt;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use heist::stream::{Stream, StreamExt, generate};
use heist::time::{Duration, Sleep, sleep};
use heist::{AsyncClose, How, using};

/// A connection, which is open for as long as there is a value of it.
struct DatabaseConnection;

impl DatabaseConnection {
    /// `__aenter__`.
    async fn connect(url: &str) -> Self {
        println!("DB connect: {url}");
        sleep(Duration::from_millis(100)).await;
        Self
    }

    /// Python has to check here whether it is connected. There is no such case here.
    async fn execute(&mut self, query: &str) -> Vec<Row> {
        sleep(Duration::from_millis(50)).await;
        vec![Row {
            id: 1,
            data: query.to_owned(),
        }]
    }
}

impl AsyncClose for DatabaseConnection {
    /// `__aexit__`; it runs when the body was cancelled, too.
    async fn close(self, _how: How) {
        println!("DB disconnect");
        sleep(Duration::from_millis(50)).await;
    }
}

struct Row {
    id: u32,
    data: String,
}

/// As Python shows a dictionary.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{'id': {}, 'data': '{}'}}", self.id, self.data)
    }
}

/// `async with`.
async fn query() {
    let connection = DatabaseConnection::connect("postgresql://localhost/mydb").await;
    using(connection, async |db| {
        let rows = db.execute("SELECT * FROM users").await;
        let rows: Vec<_> = rows.iter().map(Row::to_string).collect();
        println!("Query result: [{}]", rows.join(", "));
    })
    .await;
}

/// An asynchronous iterator, written as a type.
struct AsyncRange {
    numbers: Range<u32>,
    delay: Duration,
    pause: Option<Sleep>,
}

impl AsyncRange {
    fn new(numbers: Range<u32>, delay: Duration) -> Self {
        Self {
            numbers,
            delay,
            pause: None,
        }
    }
}

impl Stream for AsyncRange {
    type Item = u32;

    /// `__anext__`.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        let this = &mut *self;
        if this.numbers.is_empty() {
            return Poll::Ready(None);
        }
        let pause = this.pause.get_or_insert_with(|| sleep(this.delay));
        ready!(Pin::new(pause).poll(cx));
        this.pause = None;
        Poll::Ready(this.numbers.next())
    }
}

/// An asynchronous generator: a stream, written as a function.
fn squares(n: u32) -> impl Stream<Item = u32> {
    generate(async move |y| {
        for i in 0..n {
            sleep(Duration::from_millis(10)).await;
            y.emit(i * i).await;
        }
    })
}

/// `async for`.
async fn iterate() {
    let mut range = AsyncRange::new(0..5, Duration::from_millis(100));
    while let Some(value) = range.next().await {
        print!("{value} ");
    }
    println!();

    let mut squares = pin!(squares(5));
    while let Some(square) = squares.next().await {
        print!("{square} ");
    }
    println!();
}

#[heist::main]
async fn main() {
    query().await;
    iterate().await;
}
