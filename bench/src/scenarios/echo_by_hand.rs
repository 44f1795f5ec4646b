//! The echo without a runtime: one thread for each CPU, bound to it, with a loop around `epoll_wait(2)`.
//!
//! Each thread has both ends of its share of the connections, so that nothing ever crosses from one CPU
//! to the other. This is close to the least that the work can cost over the kernel's TCP: what a runtime
//! adds lies above it, and no runtime can be much faster.
//!
//! The loop can also have one end of its connections only: the other one is in another process then.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
    unistd::Pid,
};

use super::window::{Phase, Window};
use crate::{meter::Cost, rt::cores::cpus, stats::Histogram};

/// Events taken from the kernel at a time.
const BATCH: usize = 256;
/// The longest wait for them, in milliseconds: a loop that nothing happens to is over so much later.
const PATIENCE: u8 = 100;

/// Runs the echo; yields what it cost, and how long the messages took that came
/// back in the measured part.
pub(super) fn run(
    threads: usize,
    connections: usize,
    size: usize,
    window: Window,
) -> io::Result<(Cost, Histogram)> {
    let phase = Phase::default();
    let cpus = cpus();
    let shares =
        (0..threads).map(|k| connections / threads + usize::from(k < connections % threads));
    thread::scope(|scope| {
        let loops: Vec<_> = shares
            .zip(cpus.iter().cycle())
            .filter(|(share, _)| *share > 0)
            .map(|(share, &cpu)| {
                let phase = &phase;
                scope.spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(cpu)?;
                    sched_setaffinity(Pid::from_raw(0), &only)?;
                    Loop::both(share, size)?.run(phase)
                })
            })
            .collect();
        let cost = window.pass_blocking(&phase);
        let mut latencies = Histogram::default();
        for one in loops {
            latencies.add(&one.join().expect("the loop does not panic")?);
        }
        Ok((cost, latencies))
    })
}

/// What one thread does.
pub(super) struct Loop {
    epoll: Epoll,
    ends: Vec<End>,
    size: usize,
    buffer: Vec<u8>,
}

/// One end of a connection.
struct End {
    stream: TcpStream,
    role: Role,
}

enum Role {
    /// Sends back what it gets.
    Server,
    /// Sends the next message when the present one has come back, of which it has so many bytes.
    Client { received: usize, sent: Instant },
}

impl Loop {
    fn new(size: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            ends: Vec::new(),
            size,
            buffer: vec![0; size.max(64 << 10)],
        })
    }

    /// Both ends of `count` connections.
    fn both(count: usize, size: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut all = Self::new(size)?;
        for _ in 0..count {
            all.connect(listener.local_addr()?)?;
            all.accept(&listener)?;
        }
        Ok(all)
    }

    /// The servers of `count` connections, which it accepts.
    pub(super) fn server(listener: &TcpListener, count: usize, size: usize) -> io::Result<Self> {
        let mut all = Self::new(size)?;
        for _ in 0..count {
            all.accept(listener)?;
        }
        Ok(all)
    }

    /// The clients of `count` connections to `server`.
    pub(super) fn clients(server: SocketAddr, count: usize, size: usize) -> io::Result<Self> {
        let mut all = Self::new(size)?;
        for _ in 0..count {
            all.connect(server)?;
        }
        Ok(all)
    }

    fn connect(&mut self, server: SocketAddr) -> io::Result<()> {
        self.add(
            TcpStream::connect(server)?,
            Role::Client {
                received: 0,
                sent: Instant::now(),
            },
        )
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        self.add(listener.accept()?.0, Role::Server)
    }

    fn add(&mut self, stream: TcpStream, role: Role) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.ends.len() as u64);
        self.epoll.add(&stream, event)?;
        self.ends.push(End { stream, role });
        Ok(())
    }

    /// Returns how long the messages of the measured part took. Ends early when a client is gone.
    pub(super) fn run(mut self, phase: &Phase) -> io::Result<Histogram> {
        let message = vec![b'x'; self.size];
        for end in &mut self.ends {
            if let Role::Client { sent, .. } = &mut end.role {
                *sent = Instant::now();
                end.stream.write_all(&message)?;
            }
        }
        let mut events = vec![EpollEvent::empty(); BATCH];
        let mut latencies = Histogram::default();
        while !phase.is_over() {
            let count = self.epoll.wait(&mut events, PATIENCE)?;
            for event in &events[..count] {
                let End { stream, role } = &mut self.ends[event.data() as usize];
                match role {
                    Role::Server => {
                        if echo(stream, &mut self.buffer).is_err() {
                            return Ok(latencies);
                        }
                    }
                    Role::Client { received, sent } => {
                        *received += read(stream, &mut self.buffer)?;
                        if *received >= self.size {
                            *received -= self.size;
                            let now = Instant::now();
                            if phase.counts() {
                                latencies.record(now - *sent);
                            }
                            *sent = now;
                            stream.write_all(&message)?;
                        }
                    }
                }
            }
        }
        Ok(latencies)
    }
}

/// Reads once; the end is an error here.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        length => Ok(length),
    }
}

/// Sends back what has come.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let length = read(stream, buffer)?;
    stream.write_all(&buffer[..length])
}
