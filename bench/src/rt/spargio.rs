//! spargio: a ring for each worker, and tasks that can be stolen before their first poll.

use std::{
    cell::RefCell,
    fmt,
    fs::File,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ::spargio::{
    Runtime, RuntimeHandle, fs,
    net::{TcpListener, TcpStream},
    sleep, timeout,
};

use super::{Contestant, cores::yield_once, sync::TokioSync};

/// The runtime that is running. Its tasks are not told, but need its handle for whatever they do.
static CURRENT: Mutex<Option<RuntimeHandle>> = Mutex::new(None);
/// Changes with it.
static GENERATION: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// A copy for each thread, so that no task waits for a lock.
    static COPY: RefCell<(u64, Option<RuntimeHandle>)> = const { RefCell::new((0, None)) };
}

/// A handle to the runtime that is running.
fn with_current<T>(use_it: impl FnOnce(&RuntimeHandle) -> T) -> T {
    COPY.with_borrow_mut(|(generation, copy)| {
        // Acquire: a new generation comes with its handle.
        let now = GENERATION.load(Ordering::Acquire);
        if *generation != now {
            copy.clone_from(&CURRENT.lock().expect("nobody panics with it"));
            *generation = now;
        }
        use_it(copy.as_ref().expect("a runtime is running"))
    })
}

fn set_current(handle: Option<RuntimeHandle>) {
    *CURRENT.lock().expect("nobody panics with it") = handle;
    // Release: the handle is there for those who see the new generation.
    GENERATION.fetch_add(1, Ordering::Release);
}

/// The runtime.
pub struct Spargio(Runtime);

impl fmt::Debug for Spargio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spargio").finish_non_exhaustive()
    }
}

impl Drop for Spargio {
    fn drop(&mut self) {
        set_current(None);
    }
}

/// Why a task has no output.
#[derive(Debug)]
pub struct Cancelled;

/// Waits for a task.
pub struct JoinHandle<T>(::spargio::JoinHandle<T>);

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let output = Pin::new(&mut self.0).poll(context);
        output.map(|output| output.map_err(|_| Cancelled))
    }
}

impl Contestant for Spargio {
    type Handle = RuntimeHandle;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = Cancelled;
    type Semaphore = ::tokio::sync::Semaphore;
    type Sync = TokioSync;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type File = fs::File;
    type Block = Vec<u8>;

    fn start(workers: usize) -> Self {
        // By default a spawn fails when 4096 tasks wait.
        let runtime = Runtime::builder()
            .shards(workers)
            .stealable_queue_capacity(1 << 20)
            .build()
            .expect("io_uring is permitted where the benchmarks run");
        set_current(Some(runtime.handle()));
        Self(runtime)
    }

    fn handle(&self) -> Self::Handle {
        self.0.handle()
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.0.handle().spawn_stealable(future);
        let output = futures_executor::block_on(task.expect("there is room for a task"));
        output.unwrap_or_else(|_| panic!("the root task panicked"))
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        with_current(|handle| Self::spawn_on(handle, future))
    }

    fn spawn_on<F>(handle: &Self::Handle, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = handle.spawn_stealable(future);
        JoinHandle(task.expect("there is room for a task"))
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_once()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        sleep(duration)
    }

    async fn timeout<F: Future<Output: Send> + Send>(limit: Duration, future: F) -> bool {
        timeout(limit, future).await.is_ok()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        ::tokio::sync::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> impl Send {
        let permit = semaphore.acquire().await;
        permit.expect("nobody closes the semaphore")
    }

    fn oneshot<T: Send + 'static>() -> (
        impl FnOnce(T) + Send + 'static,
        impl Future<Output = T> + Send + 'static,
    ) {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let send = move |value| {
            assert!(sender.send(value).is_ok(), "the receiver waits");
        };
        (
            send,
            async move { receiver.await.expect("the sender sends") },
        )
    }

    async fn listen_at(address: SocketAddr) -> (Self::Listener, SocketAddr) {
        let handle = with_current(RuntimeHandle::clone);
        let listener = TcpListener::bind_socket_addr(handle, address).await;
        let listener = listener.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        (listener, address)
    }

    // Both set `TCP_NODELAY` by themselves.
    async fn accept(listener: &mut Self::Listener) -> Self::Stream {
        let accepted = listener.accept_round_robin().await;
        accepted.expect("the peer is connecting").0
    }

    async fn connect(address: SocketAddr) -> Self::Stream {
        let handle = with_current(RuntimeHandle::clone);
        let stream = TcpStream::connect_socket_addr_round_robin(handle, address).await;
        stream.expect("somebody listens")
    }

    async fn echo(stream: Self::Stream, chunk: usize) {
        let mut buffer = vec![0; chunk];
        while let Ok((length @ 1.., mut received)) = stream.recv_owned(buffer).await {
            received.truncate(length);
            let Ok(sent) = stream.write_all_owned(received).await else {
                return;
            };
            buffer = sent;
            buffer.resize(chunk, 0);
        }
    }

    async fn round_trip(stream: &mut Self::Stream, message: &'static [u8], buffer: &mut Vec<u8>) {
        stream.write_all(message).await.expect("the peer reads");
        let received = stream.read_exact_owned(mem::take(buffer)).await;
        *buffer = received.expect("the peer answers");
    }

    async fn file(file: File) -> Self::File {
        let handle = with_current(RuntimeHandle::clone);
        fs::File::from_std(handle, file).expect("it is a file")
    }

    fn block(size: usize) -> Self::Block {
        vec![0; size]
    }

    async fn read_at(file: &Self::File, block: Self::Block, offset: u64) -> Self::Block {
        let size = block.len();
        let read = file.read_at_into(offset, block).await;
        let (length, block) = read.expect("it is a file");
        assert_eq!(length, size, "the file is long enough");
        block
    }
}
