//! tokio, with either of its schedulers.

use std::{
    fmt,
    fs::File,
    future::Future,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::FileExt,
    sync::Arc,
    time::Duration,
};

use ::tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{Semaphore, oneshot},
    task::{JoinError, JoinHandle, JoinSet, spawn_blocking, yield_now},
    time,
};

use super::{Contestant, sync::TokioSync};

/// Which of tokio's schedulers.
pub trait Flavour: 'static {
    /// A builder for it.
    fn builder(workers: usize) -> Builder;
}

/// The work-stealing scheduler.
#[derive(Debug)]
pub struct MultiThread;

impl Flavour for MultiThread {
    fn builder(workers: usize) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers);
        builder
    }
}

/// The scheduler with one thread, that of `block_on`.
#[derive(Debug)]
pub struct CurrentThread;

impl Flavour for CurrentThread {
    fn builder(_workers: usize) -> Builder {
        Builder::new_current_thread()
    }
}

/// A tokio runtime of flavour `F`.
pub struct Tokio<F> {
    runtime: Runtime,
    flavour: PhantomData<fn() -> F>,
}

impl<F> fmt::Debug for Tokio<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").finish_non_exhaustive()
    }
}

impl<L: Flavour> Contestant for Tokio<L> {
    type Handle = ::tokio::runtime::Handle;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = JoinError;
    type Semaphore = Semaphore;
    type Sync = TokioSync;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type File = Arc<File>;

    fn start(workers: usize) -> Self {
        let runtime = L::builder(workers)
            .enable_all()
            .build()
            .expect("threads can be started");
        Self {
            runtime,
            flavour: PhantomData,
        }
    }

    fn handle(&self) -> Self::Handle {
        self.runtime.handle().clone()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
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

    async fn listen() -> (Self::Listener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
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

    async fn round_trip(stream: &mut Self::Stream, message: &[u8], buffer: &mut [u8]) {
        stream.write_all(message).await.expect("the peer reads");
        stream.read_exact(buffer).await.expect("the peer answers");
    }

    fn file(file: File) -> Self::File {
        Arc::new(file)
    }

    // `tokio::fs::File` takes two such trips for it, to seek and to read, and copies once more.
    async fn read_at(file: &Self::File, mut buffer: Box<[u8]>, offset: u64) -> Box<[u8]> {
        let file = Arc::clone(file);
        let read = move || file.read_exact_at(&mut buffer, offset).map(|()| buffer);
        let read = spawn_blocking(read)
            .await
            .expect("the closure does not panic");
        read.expect("the file is long enough")
    }
}
