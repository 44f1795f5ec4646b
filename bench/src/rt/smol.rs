//! smol: an executor of several threads, as its documentation builds one, and async-io's reactor.

use std::{
    cell::RefCell,
    convert::Infallible,
    fmt,
    fs::File,
    future::Future,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use ::smol::{
    Executor, Task, Timer, channel, fs, future,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    lock::Semaphore,
    net::{TcpListener, TcpStream},
    unblock,
};

use super::{Contestant, sync::TokioSync};

thread_local! {
    /// The executor of this thread.
    static EXECUTOR: RefCell<Option<Arc<Executor<'static>>>> = const { RefCell::new(None) };
}

/// An executor with its threads.
pub struct Smol {
    executor: Arc<Executor<'static>>,
    /// Its end ends the threads.
    stop: Option<channel::Sender<Infallible>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smol").finish_non_exhaustive()
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// A task that goes on when its handle is dropped, as it does elsewhere.
#[derive(Debug)]
pub struct JoinHandle<T>(Option<Task<T>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.0.as_mut().expect("only dropping takes it");
        Pin::new(task).poll(context).map(Ok)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

impl Contestant for Smol {
    type Handle = Arc<Executor<'static>>;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = Infallible;
    type Semaphore = Semaphore;
    type Sync = TokioSync;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type File = Arc<File>;
    type Block = Box<[u8]>;

    fn start(workers: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = channel::bounded::<Infallible>(1);
        let start = |index| {
            let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
            thread::Builder::new()
                .name(format!("smol-{index}"))
                .spawn(move || {
                    EXECUTOR.set(Some(Arc::clone(&executor)));
                    // It ends with an error when the other end is dropped.
                    let _ = ::smol::block_on(executor.run(stopped.recv()));
                    EXECUTOR.set(None);
                })
                .expect("threads can be started")
        };
        let threads = (0..workers).map(start).collect();
        Self {
            executor,
            stop: Some(stop),
            threads,
        }
    }

    fn handle(&self) -> Self::Handle {
        Arc::clone(&self.executor)
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        ::smol::block_on(self.executor.spawn(future))
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.with_borrow(|executor| {
            let executor = executor.as_ref().expect("tasks run on the threads");
            JoinHandle(Some(executor.spawn(future)))
        })
    }

    fn spawn_on<F>(handle: &Self::Handle, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        JoinHandle(Some(handle.spawn(future)))
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    async fn timeout<F: Future<Output: Send> + Send>(limit: Duration, future: F) -> bool {
        let finish = async {
            future.await;
            true
        };
        let expire = async {
            Timer::after(limit).await;
            false
        };
        future::or(finish, expire).await
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Semaphore::new(permits)
    }

    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = impl Send> + Send {
        semaphore.acquire()
    }

    // smol has channels for many values only; this is what its users take for one.
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

    async fn read_at(file: &Self::File, mut block: Self::Block, offset: u64) -> Self::Block {
        let file = Arc::clone(file);
        let read = unblock(move || file.read_exact_at(&mut block, offset).map(|()| block));
        read.await.expect("the file is long enough")
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
