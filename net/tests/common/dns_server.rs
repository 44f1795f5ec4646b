//! A name server that does what a script says, over UDP and TCP on one port of loopback.
//!
//! It is threads over `std::net`, and writes its messages by hand (RFC 1035, section 4), so that nothing of what is
//! tested tests itself.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const AAAA: u16 = 28;

/// A question that has arrived.
pub(crate) struct Query {
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) tcp: bool,
    /// Counts the queries of the server from 0.
    pub(crate) number: usize,
    question: Vec<u8>,
}

/// What is sent back: messages, each after a while.
pub(crate) type Reply = Vec<(Duration, Vec<u8>)>;

#[derive(Default)]
struct Log {
    asked: Vec<(String, u16)>,
    /// Queries that have not been answered yet, and the most of them at once.
    open: usize,
    most_open: usize,
}

pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    udp: UdpSocket,
}

impl Server {
    pub(crate) fn new(script: impl Fn(&Query) -> Reply + Send + Sync + 'static) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let (script, log) = (Arc::new(script), Arc::<Mutex<Log>>::default());
        let server = Self {
            address: udp.local_addr().unwrap(),
            log: log.clone(),
            udp: udp.try_clone().unwrap(),
        };
        thread::spawn({
            let (script, log) = (script.clone(), log.clone());
            move || {
                let mut datagram = [0; 2048];
                while let Ok((length, from)) = udp.recv_from(&mut datagram) {
                    let Some(query) = read(&datagram[..length], false, &log) else {
                        continue;
                    };
                    let (reply, udp) = (script(&query), udp.try_clone().unwrap());
                    carry_out(reply, log.clone(), move |bytes| {
                        let _ = udp.send_to(bytes, from);
                    });
                }
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let (script, log, mut stream) = (script.clone(), log.clone(), stream.unwrap());
                thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut message = vec![0; u16::from_be_bytes(length).into()];
                        stream.read_exact(&mut message).unwrap();
                        let query = read(&message, true, &log).unwrap();
                        let mut out = stream.try_clone().unwrap();
                        carry_out(script(&query), log.clone(), move |bytes| {
                            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                            let _ = out.write_all(&[&length, bytes].concat());
                        });
                    }
                });
            }
        });
        server
    }

    /// A server that answers at once.
    pub(crate) fn answering(script: impl Fn(&Query) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(move |query| vec![(Duration::ZERO, script(query).bytes(query))])
    }

    /// A server that never answers.
    pub(crate) fn silent() -> Self {
        Self::new(|_| Vec::new())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked, in order.
    pub(crate) fn asked(&self) -> Vec<(String, u16)> {
        self.log.lock().unwrap().asked.clone()
    }

    /// The names whose addresses of IPv4 were asked for, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let v4 = |(name, kind): (String, u16)| (kind == A).then_some(name);
        self.asked().into_iter().filter_map(v4).collect()
    }

    /// How many queries were open at once, at most.
    pub(crate) fn most_open(&self) -> usize {
        self.log.lock().unwrap().most_open
    }
}

/// Sends the messages of a reply, and then counts the query as answered.
fn carry_out(reply: Reply, log: Arc<Mutex<Log>>, mut send: impl FnMut(&[u8]) + Send + 'static) {
    let is_now = reply.iter().all(|(after, _)| after.is_zero());
    let mut run = move || {
        for (after, bytes) in &reply {
            thread::sleep(*after);
            // Before it is sent, since the next query may follow at once.
            let mut log = log.lock().unwrap();
            log.open = log.open.saturating_sub(1);
            drop(log);
            send(bytes);
        }
    };
    if is_now {
        run();
    } else {
        thread::spawn(run);
    }
}

fn read(message: &[u8], tcp: bool, log: &Mutex<Log>) -> Option<Query> {
    let (mut at, mut name) = (12, String::new());
    while *message.get(at)? != 0 {
        let length = usize::from(message[at]);
        let label = message.get(at + 1..at + 1 + length)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).ok()?);
        at += 1 + length;
    }
    let question = message.get(12..at + 5)?.to_vec();
    let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
    let mut log = log.lock().unwrap();
    let number = log.asked.len();
    log.asked.push((name.clone(), kind));
    log.open += 1;
    log.most_open = log.most_open.max(log.open);
    Some(Query {
        id: u16::from_be_bytes([message[0], message[1]]),
        name,
        kind,
        tcp,
        number,
        question,
    })
}

/// An answer in the making. Records of the other family than the one asked for are left out, as servers do.
#[derive(Default, Clone)]
pub(crate) struct Answer {
    code: u8,
    truncated: bool,
    answers: Vec<(String, u16, u32, Vec<u8>)>,
    authorities: Vec<(String, u16, u32, Vec<u8>)>,
}

impl Answer {
    /// No error, and nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn code(code: u8) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    pub(crate) fn servfail() -> Self {
        Self::code(2)
    }

    pub(crate) fn nxdomain() -> Self {
        Self::code(3)
    }

    pub(crate) fn refused() -> Self {
        Self::code(5)
    }

    pub(crate) fn address(mut self, name: &str, ttl: u32, address: &str) -> Self {
        let (kind, data) = match address.parse().unwrap() {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
        };
        self.answers.push((name.to_owned(), kind, ttl, data));
        self
    }

    pub(crate) fn alias(mut self, name: &str, ttl: u32, target: &str) -> Self {
        self.answers
            .push((name.to_owned(), CNAME, ttl, encoded(target)));
        self
    }

    /// How long it may be remembered that there is nothing.
    pub(crate) fn soa(mut self, zone: &str, ttl: u32, minimum: u32) -> Self {
        let mut data = [encoded("ns.example"), encoded("admin.example")].concat();
        for number in [1, 3600, 600, 86400, minimum] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        self.authorities.push((zone.to_owned(), SOA, ttl, data));
        self
    }

    /// Says that there is more, over TCP.
    pub(crate) fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    pub(crate) fn bytes(&self, query: &Query) -> Vec<u8> {
        self.bytes_with(query, query.id)
    }

    pub(crate) fn bytes_with(&self, query: &Query, id: u16) -> Vec<u8> {
        self.bytes_of(&query.question, query.kind, id)
    }

    /// As if another name had been asked for.
    pub(crate) fn bytes_for(&self, query: &Query, name: &str) -> Vec<u8> {
        let mut question = encoded(name);
        question.extend_from_slice(&query.question[query.question.len() - 4..]);
        self.bytes_of(&question, query.kind, query.id)
    }

    fn bytes_of(&self, question: &[u8], kind: u16, id: u16) -> Vec<u8> {
        let wanted = |record: &&(String, u16, u32, Vec<u8>)| {
            let is_address = matches!(record.1, A | AAAA);
            !is_address || record.1 == kind
        };
        let answers: Vec<_> = self.answers.iter().filter(wanted).collect();
        let mut bytes = id.to_be_bytes().to_vec();
        // A response to a recursive query, of a server that offers recursion.
        bytes.push(0x81 | if self.truncated { 2 } else { 0 });
        bytes.push(0x80 | self.code);
        let counts = [1, answers.len(), self.authorities.len(), 0];
        for count in counts {
            bytes.extend_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
        }
        bytes.extend_from_slice(question);
        for (name, kind, ttl, data) in answers.into_iter().chain(&self.authorities) {
            bytes.extend(encoded(name));
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&1_u16.to_be_bytes());
            bytes.extend_from_slice(&ttl.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }
}

/// A name in the form of messages, without compression.
fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
