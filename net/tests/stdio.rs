//! The standard streams: this program runs itself with others of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use heist_net::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, copy, stderr, stdin, stdout};
use heist_runtime::block_on;
use heist_sync::time::timeout;

/// What this program does when it is told to.
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("copies") => block_on(async {
            let count = copy(&mut stdin(), &mut stdout()).await.unwrap();
            let mut complaints = stderr();
            complaints
                .write_all(format!("{count}").as_bytes())
                .await
                .unwrap();
            complaints.flush().await.unwrap();
        }),
        Some("gives-up") => block_on(async {
            let mut input = stdin();
            let mut dropped = 0;
            let mut line = String::new();
            loop {
                match timeout(Duration::from_millis(1), input.read_line(&mut line)).await {
                    Ok(Ok(0)) => break,
                    Ok(count) => drop(count.unwrap()),
                    Err(_elapsed) => dropped += 1,
                }
            }
            let mut out = stdout();
            out.write_all(format!("{dropped}\n{line}").as_bytes())
                .await
                .unwrap();
            out.flush().await.unwrap();
        }),
        // A program that ends does not wait for what nobody sends.
        Some("ends") => block_on(async {
            let mut input = stdin();
            timeout(Duration::from_millis(10), input.read(&mut [0]))
                .await
                .unwrap_err();
        }),
        // The test harness's own arguments mean nothing here.
        _ => test(),
    }
}

fn me(what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(what);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + (at % 23) as u8).collect()
}

fn fed(mut child: Child, input: Vec<u8>) -> Output {
    let mut to = child.stdin.take().unwrap();
    let feeds = thread::spawn(move || to.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    feeds.join().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn test() {
    let folder = std::env::temp_dir().join(format!("heist-net-stdio-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let all = text(1_000_000);

    // Pipes, files, and both.
    let output = fed(me("copies").spawn().unwrap(), all.clone());
    assert!(output.stdout == all && output.stderr == b"1000000");
    std::fs::write(folder.join("in"), &all).unwrap();
    std::fs::write(folder.join("out"), b"before ").unwrap();
    let appends = File::options()
        .append(true)
        .open(folder.join("out"))
        .unwrap();
    let input = File::open(folder.join("in")).unwrap();
    let status = me("copies")
        .stdin(input)
        .stdout(appends)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let written = std::fs::read(folder.join("out")).unwrap();
    assert!(written[..7] == *b"before " && written[7..] == all);

    // A file that is shared goes on where the other has stopped.
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    let mut shared = options.open(folder.join("shared")).unwrap();
    shared.write_all(b"first, ").unwrap();
    let mut child = me("copies");
    child.stdout(shared.try_clone().unwrap());
    fed(child.spawn().unwrap(), b"second, ".to_vec());
    shared.write_all(b"third").unwrap();
    assert_eq!(
        std::fs::read(folder.join("shared")).unwrap(),
        b"first, second, third"
    );

    // Reads that are given up lose nothing.
    let mut child = me("gives-up").spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    for i in 0..30 {
        write!(to, "line {i}, ").unwrap();
        thread::sleep(Duration::from_millis(3));
        writeln!(to, "whole").unwrap();
    }
    drop(to);
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (dropped, lines) = output.split_once('\n').unwrap();
    assert!(dropped.parse::<u32>().unwrap() > 10, "{dropped}");
    let expected: String = (0..30).map(|i| format!("line {i}, whole\n")).collect();
    assert_eq!(lines, expected);

    // It ends, though its input does not.
    let began = Instant::now();
    let mut child = me("ends").spawn().unwrap();
    let input = child.stdin.take();
    assert!(child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(input);

    // A pipe that is slow to take, and one that is shared with others that do not block.
    let mut child = me("copies").spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let sent = all.clone();
    let feeds = thread::spawn(move || to.write_all(&sent).unwrap());
    thread::sleep(Duration::from_millis(30));
    let mut back = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut back).unwrap();
    feeds.join().unwrap();
    assert!(back == all && child.wait().unwrap().success());
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let child = me("copies").stdout(write).spawn().unwrap();
    let sent = all.clone();
    let feeds = thread::spawn(move || fed(child, sent));
    let mut back = Vec::new();
    loop {
        let mut some = [0; 10_000];
        match rustix::io::read(&read, &mut some) {
            Ok(0) => break,
            Ok(count) => back.extend_from_slice(&some[..count]),
            Err(rustix::io::Errno::AGAIN) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    feeds.join().unwrap();
    assert!(back == all, "{}", back.len());

    // A terminal.
    let mut script = Command::new("script");
    let me_again = std::env::current_exe().unwrap();
    let inside = format!("printf abc | {} copies", me_again.display());
    script
        .args(["-qec", &inside, "/dev/null"])
        .stdin(Stdio::null());
    match script.output() {
        Ok(output) => {
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(shown.contains("abc") && shown.contains('3'), "{shown}");
        }
        Err(error) => eprintln!("skipped: no terminal without `script` ({error})"),
    }
    std::fs::remove_dir_all(folder).unwrap();
    println!("the standard streams: ok");
}
