//! glommio: one thread with its rings for each worker.

use std::{
    fmt,
    fs::File,
    future::Future,
    net::SocketAddr,
    os::fd::AsRawFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use ::glommio::{
    GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, executor,
    io::{BufferedFile, ReadResult},
    net::{TcpListener, TcpStream},
    spawn_local,
    sync::Semaphore,
    task, timer,
};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Contestant, Share,
    bound::Bound,
    cores::{Core, Cores, Once},
    sync::TokioSync,
};

/// Threads with a runtime each.
#[derive(Debug)]
pub struct Glommio(Cores<OneThread>);

/// The runtime of one thread.
pub struct OneThread(LocalExecutor);

impl fmt::Debug for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneThread").finish_non_exhaustive()
    }
}

impl Core for OneThread {
    const NAME: &'static str = "glommio";

    fn start() -> Self {
        // The thread is bound to its CPU already.
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make();
        Self(executor.expect("io_uring is permitted where the benchmarks run"))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.run(future)
    }
}

/// Why a task has no output.
#[derive(Debug)]
pub struct Cancelled;

/// Waits for a task.
#[derive(Debug)]
pub struct JoinHandle<T: 'static>(Bound<task::JoinHandle<T>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let output = Pin::new(self.0.get_mut()).poll(context);
        output.map(|output| output.ok_or(Cancelled))
    }
}

/// What was read from a file; nothing before.
#[derive(Debug)]
pub struct Block {
    size: usize,
    read: Option<Bound<ReadResult>>,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.read.as_ref().map_or(&[], |read| read.get())
    }
}

impl Contestant for Glommio {
    type Handle = ();
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type JoinError = Cancelled;
    type Semaphore = Bound<Semaphore>;
    type Sync = TokioSync;
    type Listener = Bound<TcpListener>;
    type Stream = Bound<TcpStream>;
    type File = Bound<Rc<BufferedFile>>;
    type Block = Block;

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
        JoinHandle(Bound::new(spawn_local(future).detach()))
    }

    fn spawn_on<F>(_handle: &Self::Handle, _future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        unreachable!("glommio takes no tasks from other threads, and no scenario asks it to")
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        Bound::new(async { executor().yield_now().await })
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        Bound::new(timer::sleep(duration))
    }

    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send {
        let timeout = Bound::new(timer::timeout(limit, async {
            future.await;
            Ok::<_, GlommioError<()>>(())
        }));
        async move { timeout.await.is_ok() }
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Bound::new(Semaphore::new(permits as u64))
    }

    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = impl Send> + Send {
        Bound::new(async move {
            let permit = semaphore.get().acquire_permit(1).await;
            Bound::new(permit.expect("nobody closes the semaphore"))
        })
    }

    // glommio's channels are for many values; this is what its users take for one.
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
            let stream = listener.get().accept().await;
            let stream = stream.expect("the peer is connecting");
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
            let mut buffer = vec![0; chunk];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
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
            stream.write_all(message).await.expect("the peer reads");
            stream.read_exact(buffer).await.expect("the peer answers");
        })
    }

    fn file(file: File) -> impl Future<Output = Self::File> + Send {
        Bound::new(async move {
            // There is no safe way from a descriptor, so the file is opened again.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let opened = BufferedFile::open(path).await.expect("it is open here");
            Bound::new(Rc::new(opened))
        })
    }

    fn block(size: usize) -> Self::Block {
        Block { size, read: None }
    }

    fn read_at(
        file: &Self::File,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = Self::Block> + Send {
        Bound::new(async move {
            let read = file.get().read_at(offset, block.size).await;
            let read = read.expect("it is a file");
            assert_eq!(read.len(), block.size, "the file is long enough");
            Block {
                size: block.size,
                read: Some(Bound::new(read)),
            }
        })
    }
}

/// Runs a future as a task of its own.
async fn task_of<F: Future<Output: 'static> + 'static>(future: F) -> F::Output {
    spawn_local(future).await
}
