//! nginx and a slow server, in a process of their own.
//!
//! That process ends, and takes nginx and its files along, when its input ends: so also when the benchmark
//! is killed.

use std::{
    env, fs,
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use heist::{
    Builder,
    net::{TcpListener, TcpStream},
    time,
};
use serde::{Deserialize, Serialize};

use super::pages::Folder;
use crate::{
    child::Process,
    scenario::{Scale, Setup},
};

const VARIABLE: &str = "HEIST_BENCH_SITE";
/// How long nginx may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the servers listen.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Site {
    /// nginx with the pages, if it is installed.
    pub(crate) pages: Option<SocketAddr>,
    /// The server that takes its time.
    pub(crate) slow: SocketAddr,
}

static SITE: OnceLock<(Site, Mutex<Process>)> = OnceLock::new();

/// Whether there is a server for the pages.
pub(crate) fn is_nginx_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let found = Command::new("nginx")
            .arg("-v")
            .stderr(Stdio::null())
            .status();
        let found = found.is_ok_and(|status| status.success());
        if !found {
            eprintln!("crawl: skipped, as nginx is not installed (or not in PATH)");
        }
        found
    })
}

/// The site, which is started by the first process that asks for it and told to its children.
pub(crate) fn site(setup: Setup) -> Site {
    if let Ok(told) = env::var(VARIABLE) {
        return serde_json::from_str(&told).expect("the parent tells where it is");
    }
    let (site, _) = SITE.get_or_init(|| {
        let scale = serde_json::to_string(&setup.scale).expect("it is a plain value");
        let mut process = Process::start(&format!("site {scale}"));
        let line = process.line("{").expect("the site starts");
        let site = serde_json::from_str(&line).expect("the site says where it listens");
        (site, Mutex::new(process))
    });
    *site
}

/// Tells a child where the site is, once there is one.
pub(crate) fn tell(command: &mut Command) {
    if let Some((site, _)) = SITE.get() {
        let told = serde_json::to_string(site).expect("it has only plain fields");
        command.env(VARIABLE, told);
    }
}

/// The process with the servers. Serves until its input ends.
pub(crate) fn serve(scale: &str) -> String {
    let scale: Scale = serde_json::from_str(scale).expect("the parent writes a scale");
    let nginx = is_nginx_installed().then(|| Nginx::start(scale).expect("nginx can be started"));
    let slow = start_slow();
    let site = Site {
        pages: nginx.as_ref().map(|nginx| nginx.address),
        slow,
    };
    let site = serde_json::to_string(&site).expect("it has only plain fields");
    println!("\n{site}");
    // It ends with the parent, whatever ends that.
    let _ = io::stdin().lock().read(&mut [0]);
    String::new()
}

/// nginx with one worker, in the foreground.
#[derive(Debug)]
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start(scale: Scale) -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("heist-bench-{}", std::process::id()));
        write_pages(&folder, scale)?;
        let free = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(&folder, address))?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let nginx = Self {
            child,
            folder,
            address,
        };
        let began = Instant::now();
        while StdStream::connect(address).is_err() {
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(nginx.folder.join("error.log")).unwrap_or_default();
                return Err(io::Error::other(format!("nginx does not listen: {log}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Nothing can be done about what fails here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write_pages(root: &Path, scale: Scale) -> io::Result<()> {
    for folder in Folder::ALL {
        let sizes = folder.sizes(scale);
        fs::create_dir_all(root.join("www").join(folder.name()))?;
        for (index, size) in sizes.iter().enumerate() {
            let path = format!("www{}", folder.path(index));
            fs::write(root.join(path), folder.page(index, *size, sizes.len()))?;
        }
    }
    Ok(())
}

/// Files that are open already and no log: the server costs as little as it can, so that the clients are
/// what is compared. Without a master there is one process, which is what serves.
fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "\
daemon off;
master_process off;
pid {folder}/nginx.pid;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    open_file_cache max=8192 inactive=600s;
    open_file_cache_valid 600s;
    default_type text/html;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address} backlog=4096;
        root {folder}/www;
    }}
}}
"
    )
}

/// Starts the server that takes its time, on a runtime that stays.
fn start_slow() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new()
            .worker_threads(1)
            .build()
            .expect("io_uring is permitted where the benchmarks run");
        runtime.block_on(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a free port");
            let address = listener
                .local_addr()
                .expect("a bound socket has an address");
            tell.send(address).expect("the other thread waits");
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    drop(heist::spawn(answer_slowly(stream)));
                }
            }
        });
    });
    told.recv().expect("the server listens")
}

/// Answers `GET /350` after 350 ms, again and again.
async fn answer_slowly(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::new();
    let body = Folder::Even.page(0, SLOW_SIZE, 1);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {SLOW_SIZE}\r\n\r\n{body}"
    );
    while let Ok(Some(bytes)) = stream.recv().await {
        received.extend_from_slice(&bytes);
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&received);
        let path = text
            .split(' ')
            .nth(1)
            .and_then(|path| path.strip_prefix('/'));
        let wait = path.and_then(|wait| wait.parse().ok()).unwrap_or(0);
        time::sleep(Duration::from_millis(wait)).await;
        received.clear();
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The size of what the slow server answers.
pub(crate) const SLOW_SIZE: usize = 1024;
