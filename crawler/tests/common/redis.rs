//! A real Redis, on a socket of its own, that can be killed and started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server, its files, and its socket. Everything is gone with it.
pub(crate) struct Redis {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Redis {
    /// `None`, with a line that says so, when Redis is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with more settings.
    pub(crate) fn start_with(more: &[&str]) -> Option<Self> {
        let installed = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if installed.is_err() {
            eprintln!("skipped: redis-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut redis = Self {
            folder,
            child: None,
        };
        redis.run(more);
        Some(redis)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Starts it on what it left behind.
    pub(crate) fn run(&mut self, more: &[&str]) {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes"])
            // What it has answered it has written.
            .args(["--appendfsync", "always", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder())
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while self.cli(&["PING"]).trim() != "PONG" && !self.cli(&["PING"]).contains("NOAUTH") {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "Redis does not start"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops its process, which keeps its connections, and goes on with it.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// What `redis-cli` says to a command.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.socket())
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A figure of the crawl.
    pub(crate) fn figure(&self, crawl: &str, name: &str) -> i64 {
        let text = self.cli(&["HGET", &format!("heist:{{{crawl}}}:crawl"), name]);
        text.trim().parse().unwrap_or(0)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
