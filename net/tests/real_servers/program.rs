//! A server as a child process, and the site that it serves.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running server. It ends, and its folder goes, when this is dropped.
pub(crate) struct Program {
    child: Child,
    port: u16,
    folder: PathBuf,
}

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Program {
    /// Starts `program` with the arguments that `configure` makes of the folder and the port. The folder has the site
    /// in `site/`. `None` if the program is not installed.
    pub(crate) fn start(
        program: &str,
        configure: impl Fn(&Path, u16) -> Vec<String>,
    ) -> Option<Self> {
        let started = Self::try_start(program, configure)?;
        Some(started.unwrap_or_else(|log| panic!("{program} does not start: {log}")))
    }

    /// As [`start`](Self::start); `None` also if the program does not run with these arguments.
    pub(crate) fn start_if(
        program: &str,
        configure: impl Fn(&Path, u16) -> Vec<String>,
    ) -> Option<Self> {
        let started = Self::try_start(program, configure)?;
        let skip = |log: &String| {
            let reason = log.lines().next().unwrap_or("it says nothing");
            eprintln!("skipped: this {program} does not do what is tested: {reason}");
        };
        started.inspect_err(skip).ok()
    }

    fn try_start(
        program: &str,
        configure: impl Fn(&Path, u16) -> Vec<String>,
    ) -> Option<Result<Self, String>> {
        let Some(path) = find(program) else {
            eprintln!("skipped: {program} is not installed");
            return None;
        };
        let mut log = String::new();
        // Another program may take the port before this one does.
        for _ in 0..3 {
            let folder = make_site();
            let port = free_port();
            let output = fs::File::create(folder.join("output")).unwrap();
            let child = Command::new(&path)
                .args(configure(&folder, port))
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap();
            let mut started = Self {
                child,
                port,
                folder,
            };
            if started.is_listening() {
                return Some(Ok(started));
            }
            log = fs::read_to_string(started.folder.join("output")).unwrap_or_default();
        }
        Some(Err(log))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn is_listening(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A server with workers ends them when it is asked to end; it would not if it were killed.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill")
            .args(["-TERM", &pid])
            .stderr(Stdio::null())
            .status();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(3) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Servers are often where only root has them in the path.
fn find(program: &str) -> Option<PathBuf> {
    if Path::new(program).is_absolute() {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) const SMALL: &str = "a small file\n";

/// Bytes of the large file.
pub(crate) const LARGE: usize = 8 << 20;

fn make_site() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("heist-real-servers-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let site = folder.join("site");
    fs::create_dir_all(&site).unwrap();
    fs::write(site.join("small.txt"), SMALL).unwrap();
    fs::write(site.join("empty.txt"), "").unwrap();
    fs::write(site.join("large.bin"), large()).unwrap();
    // Server-side includes make a page whose length is not known when it begins.
    let page = "<!--#echo var=\"DATE_LOCAL\" --> and more. ".repeat(300);
    fs::write(site.join("page.shtml"), page).unwrap();
    folder
}

/// The large file: bytes that do not repeat.
pub(crate) fn large() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(LARGE);
    while bytes.len() < LARGE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
