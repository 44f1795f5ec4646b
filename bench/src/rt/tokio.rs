//! tokio, with either of its schedulers.

use std::{
    fmt, fs::File, future::Future, net::SocketAddr, os::unix::fs::FileExt, path::PathBuf,
    sync::Arc, time::Duration,
};

use ::tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, oneshot},
    task::{JoinError, JoinHandle, JoinSet, spawn_blocking, yield_now},
    time,
};

use super::{
    Contestant, Share,
    cores::{Core, Cores, Once},
    sync::TokioSync,
};

/// Which of tokio's schedulers.
pub trait Flavour: 'static {
    /// The threads.
    type Threads;

    /// Starts them.
    fn start(workers: usize) -> Self::Threads;

    /// A handle to the (first) runtime.
    fn handle(threads: &Self::Threads) -> Handle;

    /// See [`Contestant::shares`].
    fn shares(threads: &Self::Threads) -> usize;

    /// See [`Contestant::run_shares`]; for the first `count` shares only.
    fn run_shares<W, F>(threads: &Self::Threads, count: usize, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static;
}

/// The work-stealing scheduler.
#[derive(Debug)]
pub struct MultiThread;

impl Flavour for MultiThread {
    type Threads = Runtime;

    fn start(workers: usize) -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .expect("threads can be started")
    }

    fn handle(threads: &Runtime) -> Handle {
        threads.handle().clone()
    }

    fn shares(_threads: &Runtime) -> usize {
        1
    }

    fn run_shares<W, F>(threads: &Runtime, _count: usize, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        vec![threads.block_on(in_task(work(Share { index: 0, of: 1 })))]
    }
}

/// The scheduler with one thread, once for each worker.
#[derive(Debug)]
pub struct CurrentThread;

impl Flavour for CurrentThread {
    type Threads = Cores<OneThread>;

    fn start(workers: usize) -> Cores<OneThread> {
        Cores::start(workers)
    }

    fn handle(threads: &Cores<OneThread>) -> Handle {
        let mut handles = threads.run(1, |_| async { Handle::current() });
        handles.pop().expect("there is a first thread")
    }

    fn shares(threads: &Cores<OneThread>) -> usize {
        threads.count()
    }

    fn run_shares<W, F>(threads: &Cores<OneThread>, count: usize, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        threads.run(count, move |share| in_task(work(share)))
    }
}

/// A runtime of the scheduler with one thread.
#[derive(Debug)]
pub struct OneThread(Runtime);

impl Core for OneThread {
    const NAME: &'static str = "tokio";

    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self(runtime.expect("a descriptor is free"))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// Runs a future as a task of its own.
async fn in_task<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ::tokio::spawn(future)
        .await
        .expect("the root task does not panic")
}

/// A tokio runtime of flavour `F`.
pub struct Tokio<F: Flavour> {
    threads: F::Threads,
}

impl<F: Flavour> fmt::Debug for Tokio<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").finish_non_exhaustive()
    }
}

impl<L: Flavour> Contestant for Tokio<L> {
    type Handle = Handle;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = JoinError;
    type Semaphore = Semaphore;
    type Sync = TokioSync;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type File = Arc<File>;
    type Block = Box<[u8]>;

    fn start(workers: usize) -> Self {
        Self {
            threads: L::start(workers),
        }
    }

    fn handle(&self) -> Self::Handle {
        L::handle(&self.threads)
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let only = Once::new(future);
        let mut outputs = L::run_shares(&self.threads, 1, move |_| only.take());
        outputs.pop().expect("there is a first share")
    }

    fn shares(&self) -> usize {
        L::shares(&self.threads)
    }

    fn run_shares<W, F>(&self, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        L::run_shares(&self.threads, self.shares(), work)
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        ::tokio::spawn(future)
    }

    fn spawn_on<F>(handle: &Self::Handle, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        time::sleep(duration)
    }

    async fn timeout<F: Future<Output: Send> + Send>(limit: Duration, future: F) -> bool {
        time::timeout(limit, future).await.is_ok()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> impl Send {
        semaphore
            .acquire()
            .await
            .expect("nobody closes the semaphore")
    }

    fn oneshot<T: Send + 'static>() -> (
        impl FnOnce(T) + Send + 'static,
        impl Future<Output = T> + Send + 'static,
    ) {
        let (sender, receiver) = oneshot::channel();
        let send = move |value| {
            assert!(sender.send(value).is_ok(), "the receiver waits");
        };
        let receive = async move { receiver.await.expect("the sender sends") };
        (send, receive)
    }

    async fn join_set(tasks: usize) {
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            set.spawn(async {});
        }
        while let Some(joined) = set.join_next().await {
            joined.expect("the task does not panic");
        }
    }

    async fn task_group(tasks: usize) {
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            set.spawn(async { Ok::<_, ()>(()) });
        }
        while let Some(joined) = set.join_next().await {
            // The first that failed would drop the set, and so abort the others.
            let output = joined.expect("the task does not panic");
            assert!(output.is_ok(), "no task fails");
        }
    }

    // Sockets for several shares have the option; one more or less makes no difference to one alone.
    async fn listen_at(address: SocketAddr) -> (Self::Listener, SocketAddr) {
        let socket = TcpSocket::new_v4().expect("a descriptor is free");
        socket.set_reuseport(true).expect("TCP has this option");
        socket.bind(address).expect("a free port");
        let listener = socket.listen(1024).expect("the port is not in use");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        (listener, address)
    }

    async fn accept(listener: &mut Self::Listener) -> Self::Stream {
        let (stream, _) = listener.accept().await.expect("the peer is connecting");
        stream.set_nodelay(true).expect("TCP has this option");
        stream
    }

    async fn connect(address: SocketAddr) -> Self::Stream {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        stream.set_nodelay(true).expect("TCP has this option");
        stream
    }

    async fn echo(mut stream: Self::Stream, chunk: usize) {
        let mut buffer = vec![0; chunk];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn round_trip(stream: &mut Self::Stream, message: &'static [u8], buffer: &mut Vec<u8>) {
        stream.write_all(message).await.expect("the peer reads");
        stream.read_exact(buffer).await.expect("the peer answers");
    }

    async fn file(file: File) -> Self::File {
        Arc::new(file)
    }

    fn block(size: usize) -> Self::Block {
        vec![0; size].into()
    }

    // `tokio::fs::File` takes two such trips for it, to seek and to read, and copies once more.
    async fn read_at(file: &Self::File, mut block: Self::Block, offset: u64) -> Self::Block {
        let file = Arc::clone(file);
        let read = move || file.read_exact_at(&mut block, offset).map(|()| block);
        let read = spawn_blocking(read)
            .await
            .expect("the closure does not panic");
        read.expect("the file is long enough")
    }

    async fn read_file(path: PathBuf) -> Vec<u8> {
        fs::read(path).await.expect("the file is there")
    }

    async fn write_file(path: PathBuf, piece: &'static [u8], count: usize) {
        let mut file = fs::File::create(path).await.expect("a new name");
        for _ in 0..count {
            file.write_all(piece).await.expect("there is room");
        }
        file.flush().await.expect("there is room");
    }
}
