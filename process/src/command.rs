//! How to start a process.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};

use crate::{Child, orphans};

/// How to start a process, in the shape of tokio's: the methods of the standard library's, and a [`Child`] that can be
/// awaited.
///
/// What is not here is in [`as_std_mut`](Self::as_std_mut), such as `pre_exec`, which is unsafe.
///
/// # Examples
///
/// ```
/// use heist_net::io::AsyncWriteExt;
/// use heist_process::Command;
/// use std::process::Stdio;
///
/// # heist_runtime::block_on(async {
/// let mut child = Command::new("tr")
///     .args(["a-z", "A-Z"])
///     .stdin(Stdio::piped())
///     .stdout(Stdio::piped())
///     .kill_on_drop(true)
///     .spawn()?;
/// let mut input = child.stdin.take().expect("it is a pipe");
/// input.write_all(b"louder").await?;
/// drop(input);
/// assert_eq!(child.wait_with_output().await?.stdout, b"LOUDER");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    std: process::Command,
    kill_on_drop: bool,
}

impl Command {
    /// The program of this name: a path, or to be found in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self::from(process::Command::new(program))
    }

    /// The standard library's.
    #[must_use]
    pub fn as_std(&self) -> &process::Command {
        &self.std
    }

    /// The standard library's, for what this has not.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.std
    }

    /// The standard library's. It knows nothing of [`kill_on_drop`](Self::kill_on_drop).
    #[must_use]
    pub fn into_std(self) -> process::Command {
        self.std
    }

    /// One more argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.std.args(args);
        self
    }

    /// What the program is told that its name is.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg0(arg);
        self
    }

    /// A variable of its environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.std.env(key, value);
        self
    }

    /// Variables of its environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        self.std.envs(vars);
        self
    }

    /// Removes a variable of its environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.std.env_remove(key);
        self
    }

    /// Has it inherit no environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// The directory it begins in. Give an absolute path of the program then: which of both is looked at first is not
    /// specified.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(dir);
        self
    }

    /// Its standard input. Default: this process's.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.std.stdin(stdin);
        self
    }

    /// Its standard output. Default: this process's, but a pipe for [`output`](Self::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.std.stdout(stdout);
        self
    }

    /// Its standard error. Default: this process's, but a pipe for [`output`](Self::output).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.std.stderr(stderr);
        self
    }

    /// The user it runs as.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.std.uid(id);
        self
    }

    /// The group it runs as.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.std.gid(id);
        self
    }

    /// The process group it is in; 0 for one of its own, which Ctrl-C at the terminal does not reach.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.std.process_group(group);
        self
    }

    /// Whether the child is killed (SIGKILL) when its [`Child`] is dropped, as it is when the task that waits for it is
    /// cancelled. Default: no. Its own children are not.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// See [`kill_on_drop`](Self::kill_on_drop).
    #[must_use]
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Starts the process. This takes as long as the system takes, a millisecond or so, in which the worker does nothing else.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such program, and those of `fork(2)` and `execve(2)`.
    pub fn spawn(&mut self) -> io::Result<Child> {
        orphans::sweep();
        Child::new(self.std.spawn()?, self.kill_on_drop)
    }

    /// Starts the process, and waits until it has ended. Pipes to and from it are closed.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    ///
    /// The process is started by the call. Dropped, it drops the [`Child`].
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + Send + use<> {
        let child = self.spawn();
        async move {
            let mut child = child?;
            child.stdin = None;
            child.stdout = None;
            child.stderr = None;
            child.wait().await
        }
    }

    /// Starts the process, and waits until it has ended. Yields what it has written to its output and error as well.
    ///
    /// As with tokio's its standard input is this process's, unless that is set.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    ///
    /// The process is started by the call. Dropped, it drops the [`Child`].
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + Send + use<> {
        self.std.stdout(Stdio::piped());
        self.std.stderr(Stdio::piped());
        let child = self.spawn();
        async move { child?.wait_with_output().await }
    }
}

impl From<process::Command> for Command {
    fn from(std: process::Command) -> Self {
        Self {
            std,
            kill_on_drop: false,
        }
    }
}
