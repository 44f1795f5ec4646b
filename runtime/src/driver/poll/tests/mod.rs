//! What operations do on a ring, checked on both kinds of ring: the kernel's, where it can be had, says what is right.

mod files;
mod queue;
mod sockets;

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
