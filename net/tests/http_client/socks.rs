//! A SOCKS proxy in threads, for one version at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V5,
}

/// Connects for whoever asks, with the right user and password if it has some.
pub(crate) struct Socks {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

type Login = Option<(&'static str, &'static str)>;

impl Socks {
    pub(crate) fn new(version: Version, login: Login) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, log) = (stream.unwrap(), log.clone());
                std::thread::spawn(move || {
                    let _ = match version {
                        Version::V4 => serve_4(stream, login, &log),
                        Version::V5 => serve_5(stream, login, &log),
                    };
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, scheme: &str, userinfo: &str) -> String {
        format!("{scheme}://{userinfo}{}", self.address)
    }

    /// Where it was asked to connect to.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn take<const N: usize>(stream: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes behind their number.
fn short(stream: &mut TcpStream) -> std::io::Result<String> {
    let [length] = take(stream)?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// Bytes up to a zero.
fn until_zero(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        match take(stream)? {
            [0] => return Ok(String::from_utf8(bytes).unwrap()),
            [byte] => bytes.push(byte),
        }
    }
}

fn serve_5(mut stream: TcpStream, login: Login, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let [version, count] = take(&mut stream)?;
    assert_eq!(version, 5);
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods)?;
    let wanted = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return stream.write_all(&[5, 0xff]);
    }
    stream.write_all(&[5, wanted])?;
    if let Some((user, password)) = login {
        assert_eq!(take(&mut stream)?, [1]);
        let right = (short(&mut stream)?, short(&mut stream)?);
        let right = (&*right.0, &*right.1) == (user, password);
        stream.write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(());
        }
    }
    let [_, command, _, kind] = take(&mut stream)?;
    assert_eq!(command, 1);
    let host = match kind {
        1 => std::net::Ipv4Addr::from(take::<4>(&mut stream)?).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(take::<16>(&mut stream)?)),
        _ => short(&mut stream)?,
    };
    let port = u16::from_be_bytes(take(&mut stream)?);
    let reply = |code| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    relay(stream, format!("{host}:{port}"), log, &reply(0), &reply(5))
}

fn serve_4(mut stream: TcpStream, login: Login, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let [version, command] = take(&mut stream)?;
    assert_eq!((version, command), (4, 1));
    let port = u16::from_be_bytes(take(&mut stream)?);
    let octets: [u8; 4] = take(&mut stream)?;
    let user = until_zero(&mut stream)?;
    assert_eq!(login.map(|login| login.0), Some(&*user));
    let host = match octets {
        [0, 0, 0, last] if last != 0 => until_zero(&mut stream)?,
        octets => std::net::Ipv4Addr::from(octets).to_string(),
    };
    let reply = |code| [0, code, 0, 0, 0, 0, 0, 0];
    relay(
        stream,
        format!("{host}:{port}"),
        log,
        &reply(90),
        &reply(91),
    )
}

/// Connects, says so, and copies in both directions.
fn relay(
    mut client: TcpStream,
    to: String,
    log: &Mutex<Vec<String>>,
    good: &[u8],
    bad: &[u8],
) -> std::io::Result<()> {
    log.lock().unwrap().push(to.clone());
    let Ok(mut server) = TcpStream::connect(to) else {
        return client.write_all(bad);
    };
    client.write_all(good)?;
    let (mut from, mut into) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        let _ = into.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut client, &mut server);
    server.shutdown(std::net::Shutdown::Write)
}
