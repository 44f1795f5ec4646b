//! The servers among the examples, each run as a program and talked to by clients; and one that runs programs itself.
//!
//! `cargo build --examples --features hyper,signal` has to come first when a choice of tests is run, as for `chapters`.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::Watchdog;
use heist::net::http::Client;

/// A program that runs until this is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts an example, whose first argument is the address, and waits until it listens.
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program(name))
            .arg("127.0.0.1:0")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.and_then(|address| address.parse().ok());
        Self {
            child,
            address: address.unwrap_or_else(|| panic!("{name} says {line:?}")),
            output,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        stream
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request by hand, which asks for the connection's end, and returns the answer.
    fn ask(&self, head: &str) -> String {
        let mut stream = self.connect();
        let request = format!("{head}\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it is answered");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill").success());
    }

    /// What it prints from now on, after it has ended well.
    fn rest(mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "{text}");
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where an example is.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: `cargo build --examples --features hyper,signal` has to come first",
        program.display()
    );
    program
}

/// What curl prints, if it is installed.
fn curl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20"])
        .args(arguments)
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: curl is not installed");
        return None;
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {complaint}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends bytes from a thread of their own, ends sending, and returns what comes back.
fn through(stream: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    let mut writer = stream.try_clone().expect("a clone");
    let sending = thread::spawn(move || {
        writer.write_all(&bytes).expect("it is taken");
        writer.shutdown(Shutdown::Write).expect("it is connected");
    });
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).expect("it comes back");
    sending.join().expect("it is sent");
    back
}

fn numbered(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn echo_server() {
    let _watchdog = Watchdog::new("echo_server", 60);
    let server = Program::start("echo_server", &[]);
    let idle = server.connect();
    for _ in 0..3 {
        let bytes = numbered(500_000);
        assert!(through(server.connect(), bytes.clone()) == bytes);
    }
    assert!(through(idle, b"still here".to_vec()) == b"still here");
}

/// Both directions, each with an end of its own. Control, tried: end both when one has.
#[test]
fn tcp_proxy() {
    let _watchdog = Watchdog::new("tcp_proxy", 60);
    let target = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = target.local_addr().expect("an address").to_string();
    let proxy = Program::start("tcp_proxy", &[&address]);
    let served = thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = target.accept().expect("the proxy connects");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("to the end");
            all.reverse();
            // Only now, when the other direction has ended.
            stream.write_all(&all).expect("it is taken");
        }
    });
    // Copied, and through a pipe in the kernel.
    for length in [1000, 300_000, 5_000_000] {
        let bytes = numbered(length);
        let mut back = through(proxy.connect(), bytes.clone());
        back.reverse();
        assert!(back == bytes);
    }
    served.join().expect("the target");
    // A target that is not there: the client is told by the end.
    assert_eq!(through(proxy.connect(), Vec::new()), b"");
}

struct Guest(BufReader<TcpStream>);

impl Guest {
    fn enter(server: &Program, name: &str) -> Self {
        let mut guest = Self(BufReader::new(server.connect()));
        assert_eq!(guest.hear(), "your name?");
        guest.say(name);
        assert_eq!(guest.hear(), "welcome");
        guest
    }

    fn say(&mut self, line: &str) {
        let stream = self.0.get_mut();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("it is taken");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

#[test]
fn chat() {
    let _watchdog = Watchdog::new("chat", 60);
    let server = Program::start("chat", &[]);
    let mut ada = Guest::enter(&server, "ada");
    let mut bob = Guest::enter(&server, "bob");
    assert_eq!(ada.hear(), "* bob is here");
    let mut eve = Guest::enter(&server, "eve");
    assert_eq!(
        (ada.hear(), bob.hear()),
        ("* eve is here".into(), "* eve is here".into())
    );
    ada.say("hello");
    bob.say("hi");
    // In the same order for whoever has said neither.
    let both = [eve.hear(), eve.hear()];
    assert!(both.contains(&"ada: hello".into()) && both.contains(&"bob: hi".into()));
    assert_eq!(
        (bob.hear(), ada.hear()),
        ("ada: hello".into(), "bob: hi".into())
    );
    drop(eve);
    assert_eq!(
        (ada.hear(), bob.hear()),
        ("* eve has left".into(), "* eve has left".into())
    );
    // A line without an end is cut off, and with it its author.
    bob.0
        .get_mut()
        .write_all(&[b'x'; 10_000])
        .expect("it is taken");
    assert_eq!(ada.hear(), "* bob has left");
}

#[test]
fn static_files() {
    let _watchdog = Watchdog::new("static_files", 60);
    let folder = std::env::temp_dir().join(format!("heist-static-{}", std::process::id()));
    let site = folder.join("site");
    std::fs::create_dir_all(site.join("sub")).expect("a folder");
    let write = |path: PathBuf, text: &[u8]| std::fs::write(path, text).expect("a file");
    let big = numbered(100_000);
    write(site.join("index.html"), b"<p>front</p>");
    write(site.join("sub/a b.txt"), b"0123456789");
    write(site.join("big.bin"), &big);
    write(folder.join("secret"), b"secret");
    std::os::unix::fs::symlink(folder.join("secret"), site.join("out")).expect("a link");
    std::os::unix::fs::symlink("sub", site.join("in")).expect("a link");
    let server = Program::start("static_files", &[&site.to_string_lossy()]);
    let get = |path: &str| server.ask(&format!("GET {path} HTTP/1.1"));

    let front = get("/");
    assert!(
        front.starts_with("HTTP/1.1 200") && front.ends_with("<p>front</p>"),
        "{front}"
    );
    assert!(front.contains("content-type: text/html; charset=utf-8"));
    assert!(get("/sub/a%20b.txt").ends_with("0123456789"));
    assert!(get("/in/a%20b.txt").ends_with("0123456789"));
    let head = server.ask("HEAD /big.bin HTTP/1.1");
    assert!(
        head.contains("content-length: 400000") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(get("/none").starts_with("HTTP/1.1 404"));
    assert!(server.ask("DELETE / HTTP/1.1").starts_with("HTTP/1.1 405"));

    // Nothing outside, by whatever name. Controls, tried: leave out the check of the parts; that of the links.
    for (path, status) in [
        ("/../secret", "400"),
        ("/sub/../../secret", "400"),
        ("/%2e%2e/secret", "400"),
        ("/..%2fsecret", "400"),
        ("/sub/%2e%2e%2f..%2fsecret", "400"),
        ("/out", "404"),
        ("//secret", "404"),
        ("/%00", "400"),
        ("/%zz", "400"),
        ("/..\\secret", "400"),
    ] {
        let answer = get(path);
        let refused = answer.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(refused, "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }

    for (range, status, body) in [
        ("bytes=2-4", "206", "234"),
        ("bytes=7-", "206", "789"),
        ("bytes=-2", "206", "89"),
        ("bytes=5-99", "206", "56789"),
        ("bytes=10-", "416", ""),
        ("bytes=-0", "416", ""),
        ("bytes=4-2", "200", "0123456789"),
        ("lines=1-2", "200", "0123456789"),
        ("bytes=0-1,3-4", "200", "0123456789"),
    ] {
        let answer = get(&format!(
            "/sub/a%20b.txt HTTP/1.1\r\nRange: {range}\r\nX-Rest:"
        ));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{range}: {answer}"
        );
        assert!(
            answer.ends_with(&format!("\r\n\r\n{body}")),
            "{range}: {answer}"
        );
    }
    let whole = heist::block_on(async {
        let response = Client::new().get(server.url("/big.bin")).send().await;
        response.expect("a response").bytes().await.expect("a body")
    });
    assert!(whole == big);
    std::fs::remove_dir_all(folder).expect("it goes");
}

#[test]
fn axum_server() {
    let _watchdog = Watchdog::new("axum_server", 60);
    let server = Program::start("axum_server", &[]);
    heist::block_on(async {
        let client = Client::new();
        let get = async |path: &str| {
            let response = client
                .get(server.url(path))
                .send()
                .await
                .expect("a response");
            (
                response.status().as_u16(),
                response.text().await.expect("text"),
            )
        };
        assert_eq!(get("/").await, (200, "axum on Heist\n".into()));
        assert_eq!(
            get("/hello/you").await,
            (200, "hello you from 127.0.0.1\n".into())
        );
        assert_eq!(get("/hello/me").await.0, 200);
        assert_eq!(get("/visits").await, (200, "2\n".into()));
        assert_eq!(get("/none").await.0, 404);
        let sum = client
            .post(server.url("/sum"))
            .header("content-type", "application/json");
        let sum = sum.body("[1, 2.5, 3]").send().await.expect("a response");
        assert_eq!(sum.text().await.expect("text"), "6.5");
    });
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        if let Some(text) = curl(&[version, &server.url("/hello/curl")]) {
            assert_eq!(text, "hello curl from 127.0.0.1\n");
        }
    }
}

/// A message of gRPC with one field, a text or a number, and what comes of it: the payloads, and `grpc-status`.
async fn call(client: &Client, url: String, field: &[u8]) -> (Vec<Vec<u8>>, String) {
    let length = u32::try_from(field.len()).expect("it is short");
    let message = [&[0], &length.to_be_bytes()[..], field].concat();
    let request = client
        .post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let mut response = request.body(message).send().await.expect("a response");
    assert_eq!(response.status().as_u16(), 200);
    let early = response.headers().get("grpc-status").cloned();
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.expect("a body") {
        bytes.extend_from_slice(&piece);
    }
    let late = response
        .trailers()
        .and_then(|all| all.get("grpc-status").cloned());
    let status = early.or(late).expect("a status");
    let mut payloads = Vec::new();
    let mut rest = &bytes[..];
    while let [0, a, b, c, d, behind @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (payload, behind) = behind.split_at(length);
        payloads.push(payload.to_vec());
        rest = behind;
    }
    (payloads, status.to_str().expect("text").to_owned())
}

#[test]
fn tonic_server() {
    let _watchdog = Watchdog::new("tonic_server", 60);
    let server = Program::start("tonic_server", &[]);
    heist::block_on(async {
        let builder = Client::builder().http2_prior_knowledge();
        let client = builder.build().expect("a client");
        let url = |method: &str| server.url(&format!("/heist.example.Greeter/{method}"));
        let (hello, status) = call(&client, url("SayHello"), b"\x0a\x03you").await;
        assert_eq!(
            (hello, &*status),
            (vec![b"\x0a\x09hello you".to_vec()], "0")
        );
        let (none, status) = call(&client, url("SayHello"), b"").await;
        assert_eq!((none.len(), &*status), (0, "3"));
        let (numbers, status) = call(&client, url("CountDown"), b"\x08\x02").await;
        let expected = [&b"\x08\x02"[..], b"\x08\x01", b""].map(<[u8]>::to_vec);
        assert_eq!((numbers, &*status), (expected.to_vec(), "0"));
        let (none, status) = call(&client, url("Unknown"), b"").await;
        assert_eq!((none.len(), &*status), (0, "12"));
    });
}

/// SIGTERM: what is in flight is answered, what is endless is cancelled and cleaned up, and the program ends well.
#[test]
fn graceful_shutdown() {
    let _watchdog = Watchdog::new("graceful_shutdown", 60);
    let server = Program::start("graceful_shutdown", &[]);
    let get = |path: &str| {
        let mut stream = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        stream
    };
    let mut idle = BufReader::new(get("/"));
    let mut line = String::new();
    idle.read_line(&mut line).expect("an answer");
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let (mut slow, _endless) = (get("/slow"), get("/endless"));
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    server.signal("-TERM");
    let mut rest = String::new();
    idle.read_to_string(&mut rest).expect("its end");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "idle connections are closed at once"
    );
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("slow, and whole\n"), "{answer}");
    let printed = server.rest();
    assert_eq!(
        printed,
        "draining\ncleaned up\nended: 3 requests, 1 cancelled\n"
    );
    assert!(began.elapsed() >= Duration::from_secs(5), "the grace");
}

#[test]
fn metrics_exporter() {
    let _watchdog = Watchdog::new("metrics_exporter", 60);
    let server = Program::start("metrics_exporter", &[]);
    assert!(server.ask("GET / HTTP/1.1").starts_with("HTTP/1.1 404"));
    let answer = server.ask("GET /metrics HTTP/1.1");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    let (_, page) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut families = 0;
    let mut lines = page.lines().peekable();
    // Each family: a help, a type, and samples of its name.
    while let Some(help) = lines.next() {
        let name = help
            .strip_prefix("# HELP ")
            .and_then(|it| it.split(' ').next());
        let name = name.unwrap_or_else(|| panic!("no help: {help}"));
        let kind = lines.next().expect("a type");
        assert!(kind == format!("# TYPE {name} counter") || kind == format!("# TYPE {name} gauge"));
        let mut samples = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample, value) = line.split_once(' ').expect("a value");
            assert_eq!(sample.split('{').next(), Some(name), "{line}");
            value.parse::<u64>().expect("a number");
            samples += 1;
        }
        assert!(samples > 0, "{name}");
        families += 1;
    }
    assert!(families > 10);
    assert!(page.contains("\nhttp_requests_total 2\n"), "{page}");
    assert!(page.contains("heist_polls_total{worker=\"0\"} "), "{page}");
}

/// What the example prints, and what it complains of, when it is given that input.
fn pipeline(arguments: &str, input: &[u8]) -> (String, String) {
    let mut child = Command::new(program("process_pipeline"))
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (mut stdin, input) = (child.stdin.take().expect("it is piped"), input.to_vec());
    // It may have seen enough before the end.
    let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("the thread does not panic");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn process_pipeline() {
    let _watchdog = Watchdog::new("process_pipeline", 60);
    let (printed, complaint) = pipeline("sort | uniq -c", b"b\na\nb\n");
    let words: Vec<_> = printed.split_whitespace().collect();
    assert_eq!(words, ["1", "1", "a", "2", "2", "b"], "{complaint}");
    // More than any pipe holds, to one that wants little of it.
    let much = "x\n".repeat(500_000);
    let (printed, complaint) = pipeline("cat | head -n 2", much.as_bytes());
    assert_eq!(printed, "   1  x\n   2  x\n", "{complaint}");
    let (printed, _) = pipeline("cat | tail -n 1", much.as_bytes());
    assert_eq!(printed, "   1  x\n");
    let (printed, complaint) = pipeline("cat | false", b"");
    assert!(
        printed.is_empty() && complaint.starts_with("program 2: exit status: 1"),
        "{complaint}"
    );
    let (_, complaint) = pipeline("cat |", b"");
    assert!(complaint.contains("usage"), "{complaint}");
    let (_, complaint) = pipeline("cat | no-such-program", b"");
    assert!(complaint.contains("NotFound"), "{complaint}");
}
