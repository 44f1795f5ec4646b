//! monoio: one thread with a ring for each worker.

use std::{
    convert::Infallible,
    fmt,
    fs::File,
    future::Future,
    mem,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use ::monoio::{
    IoUringDriver, Runtime, RuntimeBuilder, fs,
    io::{AsyncReadRent as _, AsyncReadRentExt as _, AsyncWriteRentExt as _},
    net::{TcpListener, TcpStream},
    task,
    time::{self, TimeDriver},
};
use local_sync::{oneshot, semaphore::Semaphore};

use super::{
    Contestant, Share,
    bound::Bound,
    cores::{Core, Cores, Once, yield_once},
    sync::TokioSync,
};

/// Threads with a runtime each.
#[derive(Debug)]
pub struct Monoio(Cores<OneThread>);

/// The runtime of one thread.
pub struct OneThread(Runtime<TimeDriver<IoUringDriver>>);

impl fmt::Debug for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneThread").finish_non_exhaustive()
    }
}

impl Core for OneThread {
    const NAME: &'static str = "monoio";

    fn start() -> Self {
        let runtime = RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .build();
        Self(runtime.expect("io_uring is permitted where the benchmarks run"))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// Waits for a task.
#[derive(Debug)]
pub struct JoinHandle<T>(Bound<task::JoinHandle<T>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self.0.get_mut()).poll(context).map(Ok)
    }
}

impl Contestant for Monoio {
    type Handle = ();
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = Infallible;
    type Semaphore = Bound<Semaphore>;
    type Sync = TokioSync;
    type Listener = Bound<TcpListener>;
    type Stream = Bound<TcpStream>;
    type File = Bound<Rc<fs::File>>;
    type Block = Box<[u8]>;

    fn start(workers: usize) -> Self {
        Self(Cores::start(workers))
    }

    fn handle(&self) -> Self::Handle {}

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let only = Once::new(future);
        let mut outputs = self.0.run(1, move |_| task_of(only.take()));
        outputs.pop().expect("there is a first thread")
    }

    fn shares(&self) -> usize {
        self.0.count()
    }

    fn run_shares<W, F>(&self, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0
            .run(self.0.count(), move |share| task_of(work(share)))
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        JoinHandle(Bound::new(::monoio::spawn(future)))
    }

    fn spawn_on<F>(_handle: &Self::Handle, _future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        unreachable!("monoio takes no tasks from other threads, and no scenario asks it to")
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_once()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        Bound::new(time::sleep(duration))
    }

    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send {
        let timeout = Bound::new(time::timeout(limit, future));
        async move { timeout.await.is_ok() }
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Bound::new(Semaphore::new(permits))
    }

    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = impl Send> + Send {
        Bound::new(async move {
            let permit = semaphore.get().acquire().await;
            Bound::new(permit.expect("nobody closes the semaphore"))
        })
    }

    fn oneshot<T: Send + 'static>() -> (
        impl FnOnce(T) + Send + 'static,
        impl Future<Output = T> + Send + 'static,
    ) {
        let (sender, receiver) = oneshot::channel();
        let mut sender = Bound::new(Some(sender));
        let send = move |value| {
            let sender = sender.get_mut().take().expect("it is called once");
            assert!(sender.send(value).is_ok(), "the receiver waits");
        };
        let receiver = Bound::new(receiver);
        (
            send,
            async move { receiver.await.expect("the sender sends") },
        )
    }

    fn listen_at(address: SocketAddr) -> impl Future<Output = (Self::Listener, SocketAddr)> + Send {
        Bound::new(async move {
            let listener = TcpListener::bind(address).expect("a free port");
            let address = listener
                .local_addr()
                .expect("a bound socket has an address");
            (Bound::new(listener), address)
        })
    }

    fn accept(listener: &mut Self::Listener) -> impl Future<Output = Self::Stream> + Send {
        Bound::new(async move {
            let (stream, _) = listener
                .get()
                .accept()
                .await
                .expect("the peer is connecting");
            stream.set_nodelay(true).expect("TCP has this option");
            Bound::new(stream)
        })
    }

    fn connect(address: SocketAddr) -> impl Future<Output = Self::Stream> + Send {
        Bound::new(async move {
            let stream = TcpStream::connect_addr(address).await;
            let stream = stream.expect("somebody listens");
            stream.set_nodelay(true).expect("TCP has this option");
            Bound::new(stream)
        })
    }

    fn echo(mut stream: Self::Stream, chunk: usize) -> impl Future<Output = ()> + Send {
        Bound::new(async move {
            let stream = stream.get_mut();
            let mut buffer = Vec::with_capacity(chunk);
            loop {
                let (result, received) = stream.read(buffer).await;
                if !matches!(result, Ok(1..)) {
                    return;
                }
                let (result, sent) = stream.write_all(received).await;
                if result.is_err() {
                    return;
                }
                buffer = sent;
            }
        })
    }

    fn round_trip(
        stream: &mut Self::Stream,
        message: &'static [u8],
        buffer: &mut Vec<u8>,
    ) -> impl Future<Output = ()> + Send {
        Bound::new(async move {
            let stream = stream.get_mut();
            let (result, _) = stream.write_all(message).await;
            result.expect("the peer reads");
            let (result, received) = stream.read_exact(mem::take(buffer)).await;
            result.expect("the peer answers");
            *buffer = received;
        })
    }

    async fn file(file: File) -> Self::File {
        let file = fs::File::from_std(file).expect("it is a file");
        Bound::new(Rc::new(file))
    }

    fn block(size: usize) -> Self::Block {
        vec![0; size].into()
    }

    fn read_at(
        file: &Self::File,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = Self::Block> + Send {
        Bound::new(async move {
            let (result, block) = file.get().read_at(block, offset).await;
            let length = result.expect("it is a file");
            assert_eq!(length, block.len(), "the file is long enough");
            block
        })
    }

    fn read_file(path: PathBuf) -> impl Future<Output = Vec<u8>> + Send {
        Bound::new(async move { fs::read(path).await.expect("the file is there") })
    }

    fn write_file(
        path: PathBuf,
        piece: &'static [u8],
        count: usize,
    ) -> impl Future<Output = ()> + Send {
        Bound::new(async move {
            let file = fs::File::create(path).await.expect("a new name");
            for index in 0..count {
                let (written, _) = file.write_all_at(piece, (index * piece.len()) as u64).await;
                written.expect("there is room");
            }
            file.close().await.expect("it is a file");
        })
    }
}

/// Runs a future as a task of its own.
async fn task_of<F: Future<Output: 'static> + 'static>(future: F) -> F::Output {
    ::monoio::spawn(future).await
}
