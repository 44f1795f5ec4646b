//! The echo without a runtime: one thread for each CPU, bound to it, with a loop around `epoll_wait(2)`.
//!
//! Each thread has both ends of its share of the connections, so that nothing ever crosses from one CPU
//! to the other. This is close to the least that the work can cost over the kernel's TCP: what a runtime
//! adds lies above it, and no runtime can be much faster.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    unistd::Pid,
};

use super::window::{Phase, Window};
use crate::meter::Cost;

/// Events taken from the kernel at a time.
const BATCH: usize = 256;

/// Runs the echo; yields what it cost, and the messages that came back in the measured part.
pub(super) fn run(
    threads: usize,
    connections: usize,
    size: usize,
    window: Window,
) -> io::Result<(Cost, u64)> {
    let phase = Phase::default();
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .collect();
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
                    Loop::new(share, size)?.run(phase)
                })
            })
            .collect();
        let cost = window.pass_blocking(&phase);
        let mut messages = 0;
        for one in loops {
            messages += one.join().expect("the loop does not panic")?;
        }
        Ok((cost, messages))
    })
}

/// What one thread does.
struct Loop {
    epoll: Epoll,
    connections: Vec<Connection>,
    size: usize,
    buffer: Vec<u8>,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Bytes of the present message that have come back.
    received: usize,
}

impl Loop {
    fn new(count: usize, size: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count as u64 {
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            for (stream, token) in [(&client, 2 * index), (&server, 2 * index + 1)] {
                stream.set_nodelay(true)?;
                epoll.add(stream, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
            }
            connections.push(Connection {
                client,
                server,
                received: 0,
            });
        }
        Ok(Self {
            epoll,
            connections,
            size,
            buffer: vec![0; size.max(64 << 10)],
        })
    }

    /// Returns the messages of the measured part.
    fn run(mut self, phase: &Phase) -> io::Result<u64> {
        let message = vec![b'x'; self.size];
        for connection in &mut self.connections {
            connection.client.write_all(&message)?;
        }
        let mut events = vec![EpollEvent::empty(); BATCH];
        let mut messages = 0;
        while !phase.is_over() {
            let count = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in &events[..count] {
                let connection = &mut self.connections[event.data() as usize / 2];
                if event.data() % 2 == 1 {
                    let length = connection.server.read(&mut self.buffer)?;
                    connection.server.write_all(&self.buffer[..length])?;
                    continue;
                }
                connection.received += connection.client.read(&mut self.buffer)?;
                if connection.received >= self.size {
                    connection.received -= self.size;
                    messages += u64::from(phase.counts());
                    connection.client.write_all(&message)?;
                }
            }
        }
        Ok(messages)
    }
}
