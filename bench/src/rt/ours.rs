//! Heist, through its facade.

use std::{
    fmt, fs::File, future::Future, marker::PhantomData, net::SocketAddr, os::fd::OwnedFd,
    path::PathBuf, time::Duration,
};

use heist::{
    Builder, RingProfile, Runtime, fs,
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    ops::{self, SharedFd},
    sync::{Semaphore, oneshot},
    task::{JoinError, JoinHandle, JoinSet},
    time,
};

use super::{Contestant, sync::HeistSync};

/// Which ring profile the workers have.
pub trait Profile: 'static {
    /// The profile as the builder names it.
    const PROFILE: RingProfile;
}

/// The profile with deferred task work; siblings rescue by signal.
#[derive(Debug)]
pub struct Defer;

impl Profile for Defer {
    const PROFILE: RingProfile = RingProfile::Defer;
}

/// The profile with cooperative task work; siblings rescue by `membarrier`.
#[derive(Debug)]
pub struct Coop;

impl Profile for Coop {
    const PROFILE: RingProfile = RingProfile::Coop;
}

/// A Heist runtime with the ring profile `P`.
pub struct Heist<P> {
    runtime: Runtime,
    profile: PhantomData<fn() -> P>,
}

impl<P> fmt::Debug for Heist<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heist").finish_non_exhaustive()
    }
}

impl<P: Profile> Contestant for Heist<P> {
    type Handle = heist::Handle;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = JoinError;
    type Semaphore = Semaphore;
    type Sync = HeistSync;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type File = SharedFd;
    type Block = Box<[u8]>;

    fn start(workers: usize) -> Self {
        let runtime = Builder::new()
            .worker_threads(workers)
            .ring_profile(P::PROFILE)
            .build()
            .expect("io_uring is permitted where the benchmarks run");
        Self {
            runtime,
            profile: PhantomData,
        }
    }

    fn handle(&self) -> Self::Handle {
        self.runtime.handle()
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.block_on(async {
            heist::spawn(future)
                .await
                .expect("the root task does not panic")
        })
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        heist::spawn(future)
    }

    fn spawn_on<F>(handle: &Self::Handle, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        heist::yield_now()
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
        let group = heist::task_group(async |group| {
            for _ in 0..tasks {
                group.spawn(async { Ok::<_, ()>(()) });
            }
            Ok(())
        });
        assert!(group.await.is_ok(), "no task fails");
    }

    async fn listen_at(address: SocketAddr) -> (Self::Listener, SocketAddr) {
        let listener = TcpListener::bind(address).await.expect("a free port");
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

    async fn echo(mut stream: Self::Stream, _chunk: usize) {
        while let Ok(Some(bytes)) = stream.recv().await {
            if stream.send(bytes).await.is_err() {
                return;
            }
        }
    }

    async fn round_trip(stream: &mut Self::Stream, message: &'static [u8], _buffer: &mut Vec<u8>) {
        stream.send(message).await.expect("the peer reads");
        let mut missing = message.len();
        while missing > 0 {
            let bytes = stream
                .recv()
                .await
                .expect("the peer answers")
                .expect("the peer stays");
            missing = missing
                .checked_sub(bytes.len())
                .expect("no more than was sent");
        }
    }

    async fn file(file: File) -> Self::File {
        SharedFd::new(OwnedFd::from(file))
    }

    fn block(size: usize) -> Self::Block {
        vec![0; size].into()
    }

    async fn read_at(file: &Self::File, block: Self::Block, offset: u64) -> Self::Block {
        let (read, buffer) = ops::read_at(file, block, offset).await;
        assert_eq!(
            read.expect("it is a file"),
            buffer.len(),
            "the file is long enough"
        );
        buffer
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
