//! Against OpenSSL's own client and server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use heist_net::TcpStream;
use heist_net::io::{AsyncReadExt, AsyncWriteExt};
use heist_net::tls::{TlsAcceptor, Version};
use heist_runtime::{block_on, spawn};

use crate::certificates::{Authority, Issued};
use crate::ends::{cause, trusting};
use crate::support::numbered;

/// A folder with the files that `openssl` wants, and no other files.
struct Files(std::path::PathBuf);

impl Files {
    fn new(name: &str, authority: &Authority, issued: &Issued) -> Self {
        let folder = format!("heist-tls-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("ca", &authority.pem),
            ("chain", &issued.chain),
            ("key", &issued.key),
        ] {
            std::fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends the program with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        eprintln!("skipped: there is no `openssl` program");
    }
    here
}

fn start(files: &Files, arguments: &str) -> Program {
    let child = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(&files.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(files.0.join("stderr")).unwrap())
        .spawn();
    Program(child.unwrap())
}

/// `s_server` on a port of its choice.
fn start_server(files: &Files, arguments: &str) -> (Program, u16) {
    // Its own choice of a port is told in a form that differs from version to version.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let arguments = format!(
        "s_server -accept 127.0.0.1:{port} -cert chain -cert_chain chain -key key {arguments}"
    );
    let mut program = start(files, &arguments);
    let mut lines = BufReader::new(program.0.stdout.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap() == "ACCEPT"),
        "openssl did not start"
    );
    (program, port)
}

#[test]
fn its_server_is_understood() {
    if !is_here() {
        return;
    }
    let authority = Authority::new();
    let files = Files::new(
        "server",
        &authority,
        &authority.intermediate().issue(&["a.test"]),
    );
    for (argument, version) in [("-tls1_2", Version::TLS_1_2), ("-tls1_3", Version::TLS_1_3)] {
        // `-rev` answers each line turned round.
        let (_server, port) = start_server(&files, &format!("-rev -alpn http/1.1 {argument}"));
        let connector = trusting(&authority).alpn_protocols(["h2", "http/1.1"]);
        let connector = connector.build().unwrap();
        for resumed in [false, true] {
            block_on(async {
                let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let mut stream = connector.connect("a.test", socket).await.unwrap();
                assert_eq!(stream.protocol_version(), version);
                assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..]));
                stream.write_all(b"stressed\n").await.unwrap();
                let mut line = [0; 9];
                stream.read_exact(&mut line).await.unwrap();
                assert_eq!(&line, b"desserts\n");
                assert_eq!(stream.is_resumed(), resumed);
                stream.shutdown().await.unwrap();
                // It answers an end with an end.
                let rest = stream.recv().await;
                assert!(rest.unwrap().is_none());
            });
        }
    }
}

#[test]
fn its_server_wants_a_certificate() {
    if !is_here() {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue(&["a.test"]);
    let files = Files::new("wants", &authority, &issued);
    let (_server, port) = start_server(&files, "-rev -CAfile ca -Verify 3 -verify_return_error");
    let known = trusting(&authority)
        .identity(issued.identity())
        .build()
        .unwrap();
    let nobody = trusting(&authority).build().unwrap();
    block_on(async {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut stream = nobody.connect("a.test", socket).await.unwrap();
        let error = cause(stream.recv().await);
        assert!(error.is_client_certificate_missing(), "{error}");
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut stream = known.connect("a.test", socket).await.unwrap();
        stream.write_all(b"star\n").await.unwrap();
        let mut line = [0; 5];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"rats\n");
    });
}

/// It sends half a megabyte through a pipe, renews its keys in between (`K`), and gets it all back.
#[test]
fn its_client_is_understood() {
    if !is_here() {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue(&["a.test"]);
    let files = Files::new("client", &authority, &issued);
    let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        block_on(async {
            let listener = heist_net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut client = start(
                &files,
                &format!(
                    "s_client -connect 127.0.0.1:{port} -servername a.test -CAfile ca \
                     -verify_return_error -quiet -nocommands {version}"
                ),
            );
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(socket).await.unwrap();
            assert_eq!(stream.server_name(), Some("a.test"));
            let sent = numbered(500_000);
            let expected = sent.clone();
            let mut stdin = client.0.stdin.take().unwrap();
            let mut stdout = client.0.stdout.take().unwrap();
            let back = std::thread::spawn(move || {
                let feeding = std::thread::spawn(move || {
                    stdin.write_all(&sent).unwrap();
                    stdin
                });
                let mut all = vec![0; 500_000];
                stdout.read_exact(&mut all).unwrap();
                drop(feeding.join().unwrap());
                all
            });
            let echo = spawn(async move {
                let mut left = 500_000;
                while left > 0 {
                    let bytes = stream.recv().await.unwrap().unwrap();
                    left -= bytes.len();
                    stream.write_all(&bytes).await.unwrap();
                }
                stream.flush().await.unwrap();
                stream
            });
            let _stream = echo.await.unwrap();
            assert!(back.join().unwrap() == expected);
        });
    }
}

/// `K` asks both sides for new keys: the answer is sent by whoever reads.
#[test]
fn its_client_renews_the_keys() {
    if !is_here() {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue(&["a.test"]);
    let files = Files::new("keys", &authority, &issued);
    let acceptor = TlsAcceptor::new(issued.identity()).unwrap();
    block_on(async {
        let listener = heist_net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = start(
            &files,
            &format!("s_client -connect 127.0.0.1:{port} -servername a.test -CAfile ca -tls1_3"),
        );
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(socket).await.unwrap();
        let mut stdin = client.0.stdin.take().unwrap();
        let aside = || std::fs::read_to_string(files.0.join("stderr")).unwrap();
        for round in 0..3 {
            // A command is one that comes by itself.
            stdin.write_all(b"K\n").unwrap();
            while aside().matches("KEYUPDATE").count() <= round {
                heist_sync::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            stdin
                .write_all(format!("round {round}\n").as_bytes())
                .unwrap();
            let mut line = [0; 8];
            stream.read_exact(&mut line).await.unwrap();
            assert_eq!(line, format!("round {round}\n").as_bytes());
            stream.write_all(&line).await.unwrap();
            // It ends with its input, whatever is still on the way to it.
            stream.flush().await.unwrap();
        }
        drop(stdin);
        let mut told = String::new();
        let mut stdout = client.0.stdout.take().unwrap();
        let reading = std::thread::spawn(move || {
            let _ = stdout.read_to_string(&mut told);
            told
        });
        // At the end of its input it says so.
        drop(stream.recv().await);
        stream.shutdown().await.unwrap();
        let told = reading.join().unwrap();
        assert_eq!(aside().matches("KEYUPDATE").count(), 3, "{}", aside());
        for round in 0..3 {
            assert!(told.contains(&format!("round {round}\n")), "{told}");
        }
    });
}
