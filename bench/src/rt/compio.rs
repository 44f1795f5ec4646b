//! compio: one thread with a ring for each worker.

use std::{
    fmt,
    fs::File,
    future::Future,
    mem,
    net::SocketAddr,
    os::fd::AsRawFd,
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use ::compio::{
    BufResult, fs,
    io::{
        AsyncRead as _, AsyncReadAt as _, AsyncReadExt as _, AsyncWriteAtExt as _,
        AsyncWriteExt as _,
    },
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{self, JoinError, Runtime},
    time,
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
pub struct Compio(Cores<OneThread>);

/// The runtime of one thread.
pub struct OneThread(Runtime);

impl fmt::Debug for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneThread").finish_non_exhaustive()
    }
}

impl Core for OneThread {
    const NAME: &'static str = "compio";

    fn start() -> Self {
        let runtime = Runtime::new();
        Self(runtime.expect("io_uring is permitted where the benchmarks run"))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// A task that goes on when its handle is dropped, as it does elsewhere.
#[derive(Debug)]
pub struct JoinHandle<T>(Bound<Option<runtime::JoinHandle<T>>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.0.get_mut().as_mut();
        Pin::new(task.expect("only dropping takes it")).poll(context)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().take() {
            task.detach();
        }
    }
}

impl Contestant for Compio {
    type Handle = ();
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = JoinError;
    type Semaphore = Bound<Semaphore>;
    type Sync = TokioSync;
    type Listener = Bound<TcpListener>;
    type Stream = Bound<TcpStream>;
    type File = Bound<Rc<fs::File>>;
    type Block = Vec<u8>;

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
        JoinHandle(Bound::new(Some(runtime::spawn(future))))
    }

    fn spawn_on<F>(_handle: &Self::Handle, _future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        unreachable!("compio takes no tasks from other threads, and no scenario asks it to")
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
            let socket = TcpSocket::new_v4().await.expect("a descriptor is free");
            socket.set_reuseport(true).expect("TCP has this option");
            socket.bind(address).await.expect("a free port");
            let listener = socket.listen(1024).await.expect("the port is not in use");
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
            let stream = TcpStream::connect(address).await;
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
                let BufResult(result, received) = stream.read(buffer).await;
                if !matches!(result, Ok(1..)) {
                    return;
                }
                let BufResult(result, sent) = stream.write_all(received).await;
                if result.is_err() {
                    return;
                }
                buffer = sent;
                buffer.clear();
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
            let BufResult(result, _) = stream.write_all(message).await;
            result.expect("the peer reads");
            buffer.clear();
            let BufResult(result, received) = stream.read_exact(mem::take(buffer)).await;
            result.expect("the peer answers");
            *buffer = received;
        })
    }

    fn file(file: File) -> impl Future<Output = Self::File> + Send {
        Bound::new(async move {
            // There is no safe way from a descriptor, so the file is opened again.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let opened = fs::File::open(path).await.expect("it is open here");
            Bound::new(Rc::new(opened))
        })
    }

    fn block(size: usize) -> Self::Block {
        vec![0; size]
    }

    fn read_at(
        file: &Self::File,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = Self::Block> + Send {
        Bound::new(async move {
            let BufResult(result, block) = file.get().read_at(block, offset).await;
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
            let mut file = fs::File::create(path).await.expect("a new name");
            for index in 0..count {
                let at = (index * piece.len()) as u64;
                let BufResult(written, _) = file.write_all_at(piece, at).await;
                written.expect("there is room");
            }
            file.close().await.expect("it is a file");
        })
    }
}

/// Runs a future as a task of its own.
async fn task_of<F: Future<Output: 'static> + 'static>(future: F) -> F::Output {
    runtime::spawn(future)
        .await
        .expect("the root task does not panic")
}
