//! Descriptors of others: eventfd, timerfd, inotify, sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist_net::io::unix::AsyncFd;
use heist_net::io::{Interest, Ready};
use heist_runtime::{Builder, spawn};
use heist_sync::time::{sleep, timeout};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

const SHORT: Duration = Duration::from_millis(5);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(future)
}

fn event(count: u32) -> AsyncFd<OwnedFd> {
    AsyncFd::new(eventfd(count, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()).unwrap()
}

fn take(fd: &OwnedFd) -> io::Result<u64> {
    let mut count = [0; 8];
    rustix::io::read(fd, &mut count)?;
    Ok(u64::from_ne_bytes(count))
}

fn add(fd: &OwnedFd, count: u64) -> io::Result<()> {
    rustix::io::write(fd, &count.to_ne_bytes())?;
    Ok(())
}

/// What is known to be ready is asked for again only when it turns out not to be. Control: a guard that does not forget (the
/// second wait returns at once).
#[test]
fn an_eventfd_is_waited_for() {
    block_on(async {
        let counter = Arc::new(event(0));
        timeout(SHORT, counter.readable()).await.unwrap_err();
        let there = counter.clone();
        let adds = spawn(async move {
            for i in 1..=100 {
                sleep(Duration::from_micros(100)).await;
                add(there.get_ref(), i).unwrap();
            }
        });
        let mut sum = 0;
        while sum < 5050 {
            let mut guard = counter.readable().await.unwrap();
            assert!(guard.ready().is_readable());
            match guard.try_io(|fd| take(fd.get_ref())) {
                Ok(count) => sum += count.unwrap(),
                Err(_would_block) => {}
            }
        }
        assert_eq!(sum, 5050);
        adds.await.unwrap();
        let mut guard = timeout(SHORT, counter.readable())
            .await
            .map_or_else(|_| None, Result::ok);
        // Known from before, or not: after a try it is not.
        if let Some(guard) = &mut guard {
            guard.try_io(|fd| take(fd.get_ref())).unwrap_err();
            assert!(guard.ready().is_empty());
        }
        timeout(SHORT, counter.readable()).await.unwrap_err();
        let mut guard = counter.writable().await.unwrap();
        guard
            .try_io(|fd| add(fd.get_ref(), u64::MAX - 1))
            .unwrap()
            .unwrap();
        guard.try_io(|fd| add(fd.get_ref(), 1)).unwrap_err();
        timeout(SHORT, counter.writable()).await.unwrap_err();
        assert_eq!(take(counter.get_ref()).unwrap(), u64::MAX - 1);
        counter.writable().await.unwrap().retain_ready();
    });
}

/// Any number of tasks, each of which takes one. Control: one wait that all share, whose waker is the last one's.
#[test]
fn many_tasks_wait_at_one() {
    block_on(async {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE | EventfdFlags::CLOEXEC;
        let permits = Arc::new(AsyncFd::new(eventfd(0, flags).unwrap()).unwrap());
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let permits = permits.clone();
                spawn(async move { permits.async_io(Interest::READABLE, take).await.unwrap() })
            })
            .collect();
        sleep(SHORT).await;
        for _ in 0..50 {
            add(permits.get_ref(), 1).unwrap();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
        let none = permits.try_io(Interest::READABLE, take).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
        let error = permits.async_io(Interest::WRITABLE, |_| {
            Err::<(), _>(ErrorKind::Other.into())
        });
        assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Other);
    });
}

#[test]
fn a_timerfd_rings() {
    block_on(async {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
        let span = |nanos| Timespec {
            tv_sec: 0,
            tv_nsec: nanos,
        };
        let every = Itimerspec {
            it_interval: span(10_000_000),
            it_value: span(10_000_000),
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every).unwrap();
        let began = Instant::now();
        let mut timer = AsyncFd::with_interest(timer, Interest::READABLE).unwrap();
        let mut rings = 0;
        while rings < 3 {
            rings += timer
                .async_io_mut(Interest::READABLE, |timer| take(timer))
                .await
                .unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn inotify_tells_of_files() {
    let name = format!("heist-net-test-inotify-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    block_on(async {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watcher = inotify::init(flags).unwrap();
        inotify::add_watch(&watcher, &folder, inotify::WatchFlags::CREATE).unwrap();
        let watcher = AsyncFd::new(watcher).unwrap();
        let there = folder.clone();
        let makes = spawn(async move {
            sleep(SHORT).await;
            std::fs::write(there.join("new"), b"").unwrap();
        });
        let name = watcher.async_io(Interest::READABLE, |fd| {
            let mut space = [MaybeUninit::uninit(); 512];
            let mut events = inotify::Reader::new(fd.as_fd(), &mut space);
            let event = events.next()?;
            Ok(event.file_name().map(std::ffi::CStr::to_owned))
        });
        assert_eq!(name.await.unwrap().as_deref(), Some(c"new"));
        makes.await.unwrap();
    });
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn sockets_and_their_ends() {
    block_on(async {
        let (here, mut there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let mut here = AsyncFd::new(here).unwrap();
        let both = here
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await
            .unwrap();
        assert!(both.ready().is_writable() && !both.ready().is_readable());
        there.write_all(b"hello").unwrap();
        let mut guard = here.readable_mut().await.unwrap();
        let mut some = [0; 5];
        let read = guard.try_io(|fd| fd.get_mut().read(&mut some)).unwrap();
        assert_eq!((read.unwrap(), &some), (5, b"hello"));
        guard.get_inner_mut().write_all(b"back").unwrap();
        assert!(guard.get_inner().peer_addr().unwrap().is_unnamed());
        guard.clear_ready_matching(Ready::READABLE);
        drop(there);
        let guard = here.readable().await.unwrap();
        assert!(guard.ready().is_read_closed());
        drop(guard);
        // The descriptor is the program's again, and nothing else holds the connection.
        let (one, mut other) = UnixStream::pair().unwrap();
        let fd = AsyncFd::new(one).unwrap();
        timeout(SHORT, fd.readable()).await.unwrap_err();
        drop(fd.into_inner());
        sleep(SHORT).await;
        other
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        assert_eq!(other.read(&mut some).unwrap(), 0);
    });
}

/// A wait by hand outlives its future, and wakes the last who has polled.
#[test]
fn polled_by_hand() {
    block_on(async {
        let counter = Arc::new(event(0));
        for round in 1..20 {
            let waits = |counter: Arc<AsyncFd<OwnedFd>>| async move {
                poll_fn(|cx| counter.poll_read_ready(cx).map_ok(drop)).await
            };
            timeout(Duration::from_micros(300), waits(counter.clone()))
                .await
                .unwrap_err();
            let task = spawn(waits(counter.clone()));
            sleep(Duration::from_micros(300)).await;
            add(counter.get_ref(), round).unwrap();
            task.await.unwrap().unwrap();
            assert_eq!(counter.try_io(Interest::READABLE, take).unwrap(), round);
            counter.try_io(Interest::READABLE, take).unwrap_err();
        }
        poll_fn(|cx| counter.poll_write_ready(cx).map_ok(drop))
            .await
            .unwrap();
    });
}

/// Files are always ready, and a descriptor that cannot be had is an error.
#[test]
fn files_are_ready() {
    block_on(async {
        let file = AsyncFd::new(std::fs::File::open("/proc/self/status").unwrap()).unwrap();
        assert!(file.readable().await.unwrap().ready().is_readable());
    });
}
