//! What operations do on a ring, checked on both kinds of ring: the kernel's, where it can be had, says what is right.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::{cqueue, opcode, squeue, types};
use socket2::SockAddr;

use crate::driver::buffers::{BufferConfig, BufferPool, BufferRing, GROUP};
use crate::driver::ring::{Ring, RingConfig};

/// Longer than anything here takes, and short enough for a test that fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Receive buffers of a ring, of 64 bytes each.
const BUFFERS: u32 = 16;

/// A ring with its buffers.
struct Bench {
    ring: Ring,
    pool: Arc<BufferPool>,
    buffers: BufferRing,
    unread: RefCell<Vec<cqueue::Entry>>,
    names: Cell<u64>,
}

/// A completion: result and flags.
type Told = (i32, u32);

impl Bench {
    fn new(emulated: bool, cq_entries: u32) -> io::Result<Self> {
        let ring = Ring::new(RingConfig {
            sq_entries: 8,
            cq_entries,
            flags: 0,
            emulated,
        })?;
        let pool = Arc::new(BufferPool::new(BufferConfig {
            size: 64,
            initial: BUFFERS,
            limit: BUFFERS,
        })?);
        let buffers = BufferRing::new(&pool);
        buffers.register(&pool, &ring)?;
        Ok(Self {
            ring,
            pool,
            buffers,
            unread: RefCell::default(),
            names: Cell::new(1),
        })
    }

    /// Submits an entry, and enters. Returns its name.
    fn submit(&self, entry: squeue::Entry) -> u64 {
        let name = self.names.get();
        self.names.set(name + 1);
        self.push(entry.user_data(name));
        drop(self.ring.enter(0, None));
        name
    }

    fn push(&self, entry: squeue::Entry) {
        // SAFETY: this thread owns the ring, and each test keeps what its entries name until they have completed.
        let pushed = unsafe { self.ring.push(entry) };
        assert!(pushed.is_ok(), "a full queue");
    }

    fn look(&self, timeout: Duration) {
        let want = u32::from(!timeout.is_zero());
        drop(self.ring.enter(want, Some(timeout)));
        let mut batch = Vec::with_capacity(64);
        // SAFETY: nobody else knows of this ring.
        unsafe { self.ring.take_completions(&mut batch, |_| false) };
        self.unread.borrow_mut().append(&mut batch);
    }

    fn find(&self, name: u64) -> Option<Told> {
        let mut unread = self.unread.borrow_mut();
        let index = unread.iter().position(|entry| entry.user_data() == name)?;
        let entry = unread.remove(index);
        Some((entry.result(), entry.flags()))
    }

    /// Waits for the next completion of an operation.
    fn next(&self, name: u64) -> Told {
        let start = Instant::now();
        loop {
            if let Some(told) = self.find(name) {
                return told;
            }
            assert!(start.elapsed() < PATIENCE, "{name} does not complete");
            self.look(Duration::from_millis(50));
        }
    }

    fn has_none(&self, name: u64) {
        self.look(Duration::ZERO);
        assert_eq!(self.find(name), None, "it waits for nothing");
    }

    fn result(&self, entry: squeue::Entry) -> i32 {
        let name = self.submit(entry);
        self.next(name).0
    }

    fn cancel(&self, name: u64) -> i32 {
        self.result(opcode::AsyncCancel::new(name).build())
    }

    /// The bytes in the buffer that a completion names, which is given back.
    fn bytes(&self, (length, flags): Told) -> Vec<u8> {
        let id = cqueue::buffer_select(flags).expect("a buffer was used");
        let bytes = self.pool.copy_for_tests(id, length as usize);
        self.pool.note_taken();
        self.buffers.give_back_for_tests(&self.pool, id);
        bytes
    }

    fn receive_many(&self, socket: &impl AsRawFd) -> u64 {
        self.submit(opcode::RecvMulti::new(fd(socket), GROUP).build())
    }
}

fn fd(of: &impl AsRawFd) -> types::Fd {
    types::Fd(of.as_raw_fd())
}

/// Whether the environment asks for emulated rings, as where the kernel denies its own.
fn has_uring() -> bool {
    let config = RingConfig {
        sq_entries: 1,
        cq_entries: 2,
        flags: 0,
        emulated: false,
    };
    match Ring::new(config) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("the kernel's ring is not compared with: {error}");
            false
        }
    }
}

fn on_both(test: impl Fn(&Bench)) {
    test(&Bench::new(true, 64).expect("an emulated ring"));
    if has_uring() {
        test(&Bench::new(false, 64).expect("a ring of the kernel's"));
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("bound");
    let client = TcpStream::connect(address).expect("connected");
    (client, listener.accept().expect("accepted").0)
}

fn eventfd() -> OwnedFd {
    // SAFETY: the call takes no pointers.
    let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(raw >= 0);
    // SAFETY: the kernel just returned this descriptor to us alone.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

fn add_one(event: &OwnedFd) {
    let mut file = File::from(event.try_clone().expect("a descriptor"));
    file.write_all(&1_u64.to_ne_bytes()).expect("written");
}

#[test]
fn what_does_nothing_completes() {
    on_both(|bench| {
        assert_eq!(bench.result(opcode::Nop::new().build()), 0);
    });
}

#[test]
fn what_is_not_known_is_refused() {
    on_both(|bench| {
        let closed = types::Fd(i32::MAX);
        assert_eq!(
            bench.result(opcode::PollAdd::new(closed, libc::POLLIN as u32).build()),
            -libc::EBADF
        );
        let unknown = opcode::Splice::new(closed, -1, closed, -1, 1).build();
        assert!(bench.result(unknown) < 0);
    });
}

#[test]
fn a_wait_ends_with_its_time_and_not_before() {
    on_both(|bench| {
        for millis in [0, 1, 20] {
            let limit = Duration::from_millis(millis);
            let start = Instant::now();
            let waited = bench.ring.enter(1, Some(limit));
            let errno = waited.expect_err("nothing is there").raw_os_error();
            assert_eq!(errno, Some(libc::ETIME));
            assert!(start.elapsed() >= limit);
        }
    });
}

/// Control: a short receive of which nothing else is known taken for the last one loses the end, on some runs.
#[test]
fn a_receive_takes_all_that_comes_and_then_the_end() {
    on_both(|bench| {
        for round in 0..50 {
            let (mut here, there) = tcp_pair();
            let receive = bench.receive_many(&there);
            let mut received = Vec::new();
            here.write_all(b"one").expect("sent");
            received.append(&mut bench.bytes(bench.next(receive)));
            here.write_all(&[b'x'; 300]).expect("sent");
            if round % 2 == 0 {
                thread::yield_now();
            }
            drop(here);
            loop {
                let told = bench.next(receive);
                if told.0 <= 0 {
                    assert_eq!(told.0, 0);
                    assert!(!cqueue::more(told.1), "the end is the last one");
                    break;
                }
                assert!(cqueue::more(told.1));
                received.append(&mut bench.bytes(told));
            }
            assert_eq!(received.len(), 303);
        }
    });
}

#[test]
fn datagrams_keep_their_boundaries() {
    on_both(|bench| {
        let here = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let there = UdpSocket::bind("127.0.0.1:0").expect("bound");
        there
            .connect(here.local_addr().expect("bound"))
            .expect("connected");
        let receive = bench.receive_many(&here);
        for length in [1_usize, 7, 64, 2] {
            there.send(&vec![length as u8; length]).expect("sent");
        }
        for length in [1_usize, 7, 64, 2] {
            assert_eq!(bench.bytes(bench.next(receive)), vec![length as u8; length]);
        }
        assert_eq!(bench.cancel(receive), 0);
        assert_eq!(bench.next(receive).0, -libc::ECANCELED);
    });
}

#[test]
fn without_buffers_a_receive_ends_and_loses_nothing() {
    on_both(|bench| {
        let (mut here, mut there) = UnixStream::pair().expect("a pair");
        let receive = bench.receive_many(&there);
        let mut told: Vec<Told> = Vec::new();
        here.write_all(&[7; (BUFFERS as usize + 1) * 64])
            .expect("sent");
        for _ in 0..BUFFERS {
            told.push(bench.next(receive));
        }
        let (last, flags) = bench.next(receive);
        assert_eq!(last, -libc::ENOBUFS);
        assert!(!cqueue::more(flags));
        for filled in told {
            assert_eq!(bench.bytes(filled), [7; 64]);
        }
        let mut rest = [0; 64];
        there
            .read_exact(&mut rest)
            .expect("what did not fit is there");
        assert_eq!(rest, [7; 64]);
    });
}

#[test]
fn a_receive_that_was_cancelled_takes_nothing_more() {
    on_both(|bench| {
        let (mut here, mut there) = UnixStream::pair().expect("a pair");
        let mut buffer = [0_u8; 10];
        for many in [false, true] {
            let entry = if many {
                opcode::RecvMulti::new(fd(&there), GROUP).build()
            } else {
                opcode::Recv::new(fd(&there), buffer.as_mut_ptr(), 10).build()
            };
            let receive = bench.submit(entry);
            bench.has_none(receive);
            assert_eq!(bench.cancel(receive), 0);
            let (result, flags) = bench.next(receive);
            assert_eq!(result, -libc::ECANCELED);
            assert!(!cqueue::more(flags));
            here.write_all(b"kept").expect("sent");
            bench.has_none(receive);
            let mut kept = [0; 4];
            there.read_exact(&mut kept).expect("not lost");
            assert_eq!(bench.cancel(receive), -libc::ENOENT);
        }
    });
}

#[test]
fn a_cancel_of_all_ends_all() {
    on_both(|bench| {
        let pairs: Vec<_> = (0..3)
            .map(|_| UnixStream::pair().expect("a pair"))
            .collect();
        let mut waiting: Vec<u64> = pairs
            .iter()
            .map(|pair| bench.receive_many(&pair.0))
            .collect();
        for (here, _) in &pairs {
            let poll = opcode::PollAdd::new(fd(here), libc::POLLIN as u32).build();
            waiting.push(bench.submit(poll));
        }
        let all = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
        assert_eq!(bench.result(all.clone()), 6);
        for name in waiting {
            assert_eq!(bench.next(name).0, -libc::ECANCELED);
        }
        assert_eq!(bench.result(all), 0);
    });
}

/// Control: told `ECANCELED` for what was sent in part, the sender sends it twice.
#[test]
fn a_send_of_all_waits_for_room_and_tells_what_it_has_done() {
    on_both(|bench| {
        let (here, mut there) = UnixStream::pair().expect("a pair");
        let bytes = vec![3_u8; 4 << 20];
        let entry = opcode::Send::new(fd(&here), bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        let send = bench.submit(entry.clone());
        bench.has_none(send);
        let reading = thread::spawn(move || {
            let mut all = vec![0; 4 << 20];
            there.read_exact(&mut all).expect("all comes");
            there
        });
        assert_eq!(bench.next(send).0 as usize, bytes.len());
        let mut there = reading.join().expect("no panic");

        let send = bench.submit(entry);
        bench.has_none(send);
        bench.cancel(send);
        let sent = bench.next(send).0;
        assert!(sent > 0 && (sent as usize) < bytes.len(), "{sent}");
        drop(here);
        let mut received = Vec::new();
        there.read_to_end(&mut received).expect("read");
        assert_eq!(received.len(), sent as usize);
    });
}

#[test]
fn a_send_to_nobody_is_an_error_and_no_signal() {
    on_both(|bench| {
        let (here, there) = UnixStream::pair().expect("a pair");
        drop(there);
        let entry = opcode::Send::new(fd(&here), b"x".as_ptr(), 1)
            .flags(libc::MSG_NOSIGNAL)
            .build();
        assert_eq!(bench.result(entry), -libc::EPIPE);
    });
}

#[test]
fn every_connection_is_accepted_and_connects_end() {
    on_both(|bench| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = SockAddr::from(listener.local_addr().expect("bound"));
        let accept = bench.submit(opcode::AcceptMulti::new(fd(&listener)).build());
        bench.has_none(accept);
        for _ in 0..5 {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                .expect("a socket");
            let connect =
                opcode::Connect::new(fd(&socket), address.as_ptr().cast(), address.len()).build();
            assert_eq!(bench.result(connect), 0);
            assert!(!socket.nonblocking().expect("flags"), "it blocks as before");
            let (accepted, flags) = bench.next(accept);
            assert!(accepted >= 0 && cqueue::more(flags));
            // SAFETY: the completion hands the descriptor over.
            drop(unsafe { OwnedFd::from_raw_fd(accepted) });
        }
        bench.cancel(accept);
        assert_eq!(bench.next(accept).0, -libc::ECANCELED);
        drop(listener);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        let refused =
            opcode::Connect::new(fd(&socket), address.as_ptr().cast(), address.len()).build();
        assert_eq!(bench.result(refused), -libc::ECONNREFUSED);
    });
}

/// The bell of a worker is never read. Control: a level-triggered registration tells for ever, one for a single event
/// only once.
#[test]
fn a_bell_is_heard_each_time_it_is_rung() {
    on_both(|bench| {
        let event = eventfd();
        add_one(&event);
        let entry = opcode::PollAdd::new(fd(&event), libc::POLLIN as u32)
            .multi(true)
            .build();
        let bell = bench.submit(entry);
        for _ in 0..5 {
            let (shown, flags) = bench.next(bell);
            assert_eq!(shown, i32::from(libc::POLLIN));
            assert!(cqueue::more(flags));
            bench.has_none(bell);
            add_one(&event);
        }
        bench.next(bell);
        bench.cancel(bell);
        bench.next(bell);
    });
}

#[test]
fn polls_in_both_directions_wait_at_one_socket() {
    on_both(|bench| {
        let (mut here, there) = UnixStream::pair().expect("a pair");
        let poll =
            |events: i16| bench.submit(opcode::PollAdd::new(fd(&there), events as u32).build());
        let (readable, also_readable) = (poll(libc::POLLIN), poll(libc::POLLIN));
        let writable = poll(libc::POLLOUT);
        assert_eq!(bench.next(writable).0, i32::from(libc::POLLOUT));
        bench.has_none(readable);
        here.write_all(b"x").expect("sent");
        for name in [readable, also_readable] {
            assert_eq!(bench.next(name).0, i32::from(libc::POLLIN));
        }
        assert_eq!(bench.next(poll(libc::POLLIN)).0, i32::from(libc::POLLIN));
        drop(here);
        let hung_up = bench.next(poll(0)).0;
        assert_ne!(hung_up & i32::from(libc::POLLHUP), 0);
    });
}

/// Control: a registration that is believed to be there since one was, for another file of that number, is silent.
#[test]
fn a_number_that_is_used_again_is_another_descriptor() {
    on_both(|bench| {
        let mut number = None;
        for many in [false, true, false, true, true] {
            let (mut here, there) = UnixStream::pair().expect("a pair");
            number.get_or_insert(there.as_raw_fd());
            let mut buffer = [0_u8; 8];
            let receive = if many {
                bench.receive_many(&there)
            } else {
                bench.submit(opcode::Recv::new(fd(&there), buffer.as_mut_ptr(), 8).build())
            };
            bench.has_none(receive);
            here.write_all(b"hello").expect("sent");
            let told = bench.next(receive);
            assert_eq!(told.0, 5);
            if many {
                assert_eq!(bench.bytes(told), b"hello");
                bench.cancel(receive);
                bench.next(receive);
            }
        }
    });
}

/// The kernel's order is the other way round, which nothing relies on.
#[test]
fn two_receives_at_one_socket_get_their_parts_in_order() {
    let bench = Bench::new(true, 64).expect("an emulated ring");
    let (mut here, there) = UnixStream::pair().expect("a pair");
    let mut buffers = [[0_u8; 2]; 2];
    let names: Vec<u64> = buffers
        .iter_mut()
        .map(|buffer| bench.submit(opcode::Recv::new(fd(&there), buffer.as_mut_ptr(), 2).build()))
        .collect();
    here.write_all(b"abcd").expect("sent");
    assert_eq!([bench.next(names[0]).0, bench.next(names[1]).0], [2, 2]);
    assert_eq!(buffers, [*b"ab", *b"cd"]);
}

#[test]
fn a_receive_of_all_waits_for_all() {
    on_both(|bench| {
        let (mut here, there) = UnixStream::pair().expect("a pair");
        let mut buffer = [0_u8; 6];
        let entry = opcode::Recv::new(fd(&there), buffer.as_mut_ptr(), 6)
            .flags(libc::MSG_WAITALL)
            .build();
        let receive = bench.submit(entry);
        here.write_all(b"abc").expect("sent");
        bench.has_none(receive);
        here.write_all(b"def").expect("sent");
        assert_eq!(bench.next(receive).0, 6);
        assert_eq!(&buffer, b"abcdef");
    });
}

#[test]
fn files_are_opened_written_read_and_closed() {
    on_both(|bench| {
        let path = std::env::temp_dir().join(format!("heist-poll-{}", std::process::id()));
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
            .flags(libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC)
            .mode(0o600)
            .build();
        let opened = bench.result(entry);
        assert!(opened >= 0, "{opened}");
        // SAFETY: the completion hands the descriptor over.
        let file = unsafe { OwnedFd::from_raw_fd(opened) };
        for length in [100_usize, 200_000] {
            let bytes = vec![length as u8; length];
            let write = opcode::Write::new(fd(&file), bytes.as_ptr(), length as u32)
                .offset(10)
                .build();
            assert_eq!(bench.result(write) as usize, length);
            assert_eq!(bench.result(opcode::Fsync::new(fd(&file)).build()), 0);
            let mut back = vec![0_u8; length + 50];
            let read = opcode::Read::new(fd(&file), back.as_mut_ptr(), back.len() as u32)
                .offset(10)
                .build();
            assert_eq!(bench.result(read) as usize, length, "up to the end");
            assert_eq!(back[..length], bytes);
        }
        let mut attributes = std::mem::MaybeUninit::<libc::statx>::zeroed();
        let stat = opcode::Statx::new(
            types::Fd(libc::AT_FDCWD),
            name.as_ptr(),
            attributes.as_mut_ptr().cast(),
        )
        .mask(libc::STATX_BASIC_STATS)
        .build();
        assert_eq!(bench.result(stat), 0);
        // SAFETY: filled by the call, and zeroed before.
        assert_eq!(unsafe { attributes.assume_init() }.stx_size, 200_010);
        let close = opcode::Close::new(types::Fd(file.into_raw_fd())).build();
        assert_eq!(bench.result(close), 0);
        std::fs::remove_file(&path).expect("it was there");
        let gone = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr()).build();
        assert_eq!(bench.result(gone), -libc::ENOENT);
    });
}

#[test]
fn a_read_of_a_pipe_waits_and_can_be_cancelled() {
    on_both(|bench| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut buffer = [0_u8; 8];
        let mut read = || {
            let entry = opcode::Read::new(fd(&reader), buffer.as_mut_ptr(), 8);
            bench.submit(entry.offset(u64::MAX).build())
        };
        let first = read();
        bench.has_none(first);
        bench.cancel(first);
        assert_eq!(bench.next(first).0, -libc::ECANCELED);
        let second = read();
        bench.has_none(second);
        writer.write_all(b"pipe").expect("written");
        assert_eq!(bench.next(second).0, 4);
        drop(writer);
        let end = read();
        assert_eq!(bench.next(end).0, 0);
    });
}

/// Control: opened without waiting, it is open before anybody has the other end, or not at all.
#[test]
fn opening_a_fifo_waits_for_the_other_end_and_can_be_given_up() {
    on_both(|bench| {
        let path = std::env::temp_dir().join(format!("heist-fifo-{}", std::process::id()));
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let entry = |flags| {
            opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
                .flags(flags | libc::O_CLOEXEC)
                .build()
        };
        let open = |flags| {
            let opening = bench.submit(entry(flags).flags(squeue::Flags::ASYNC));
            bench.look(Duration::from_millis(30));
            bench.has_none(opening);
            opening
        };
        // The kernel tells of a thread that it has interrupted what that thread was told.
        let is_given_up = |result: i32| {
            const ERESTARTSYS: i32 = 512;
            [libc::ECANCELED, libc::EINTR, ERESTARTSYS].contains(&-result)
        };
        for (own, other) in [
            (libc::O_RDONLY, libc::O_WRONLY),
            (libc::O_WRONLY, libc::O_RDONLY),
        ] {
            let given_up = open(own);
            assert!([0, -libc::EALREADY].contains(&bench.cancel(given_up)));
            let result = bench.next(given_up).0;
            assert!(is_given_up(result), "{result}");

            let opening = open(own);
            // SAFETY: the path is a C string.
            let there = unsafe { libc::open(name.as_ptr(), other | libc::O_CLOEXEC) };
            let here = bench.next(opening).0;
            assert!(here >= 0 && there >= 0, "{here} {there}");
            // SAFETY: both were opened here, and are handed over to nobody else.
            let ends = [here, there].map(|end| unsafe { OwnedFd::from_raw_fd(end) });
            assert!(!super::calls::is_nonblocking(ends[0].as_raw_fd()));
        }
        assert_eq!(bench.result(entry(libc::O_WRONLY)), -libc::ENXIO);
        let at_once = bench.result(entry(libc::O_RDONLY));
        assert!(at_once >= 0, "{at_once}");
        // SAFETY: the completion hands the descriptor over.
        let at_once = unsafe { OwnedFd::from_raw_fd(at_once) };
        assert!(!super::calls::is_nonblocking(at_once.as_raw_fd()));
        std::fs::remove_file(&path).expect("it was there");
    });
}

/// Control: a completion that is dropped when the queue is full.
#[test]
fn completions_that_find_no_place_wait() {
    let test = |bench: &Bench| {
        for round in 0..20 {
            for name in 0..8 {
                let name = 1000 + round * 8 + name;
                bench.push(opcode::Nop::new().build().user_data(name));
            }
            drop(bench.ring.enter(0, None));
        }
        assert!(bench.ring.has_overflow());
        for name in 1000..1160 {
            assert_eq!(bench.next(name), (0, 0));
        }
        bench.look(Duration::ZERO);
        assert!(!bench.ring.has_overflow());
    };
    test(&Bench::new(true, 8).expect("an emulated ring"));
    if has_uring() {
        test(&Bench::new(false, 8).expect("a ring of the kernel's"));
    }
}

/// A reader that is fed faster than the queue has room gets everything all the same, in order.
#[test]
fn a_receive_waits_for_room_in_the_queue() {
    let bench = Bench::new(true, 8).expect("an emulated ring");
    let (mut here, there) = UnixStream::pair().expect("a pair");
    let receive = bench.receive_many(&there);
    for name in 0..8 {
        bench.push(opcode::Nop::new().build().user_data(2000 + name));
    }
    drop(bench.ring.enter(0, None));
    here.write_all(b"later").expect("sent");
    drop(bench.ring.enter(0, None));
    assert!(bench.ring.must_be_entered(), "nobody would look again");
    assert_eq!(bench.bytes(bench.next(receive)), b"later");
    bench.cancel(receive);
    bench.next(receive);
}

/// What a sibling does for a worker that is stuck.
#[test]
fn another_thread_brings_completions_to_light() {
    let bench = Bench::new(true, 64).expect("an emulated ring");
    let (mut here, there) = UnixStream::pair().expect("a pair");
    let receive = bench.receive_many(&there);
    here.write_all(b"rescue").expect("sent");
    bench.push(opcode::Nop::new().build().user_data(3000));
    thread::scope(|scope| {
        let ring = &bench.ring;
        let entered = scope.spawn(|| ring.enter_foreign().expect("nobody is inside"));
        assert_eq!(entered.join().expect("no panic"), 1);
    });
    assert_eq!(bench.ring.ready(), 2);
    assert_eq!(bench.bytes(bench.next(receive)), b"rescue");
    assert_eq!(bench.next(3000), (0, 0));
    bench.cancel(receive);
    bench.next(receive);
}
