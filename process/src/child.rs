//! A process that was started.

use std::io;
use std::process::{self, ExitStatus, Output};

use heist_net::io::{AsyncRead, AsyncReadExt};

use crate::orphans;
use crate::running::Running;
use crate::{ChildStderr, ChildStdin, ChildStdout};

/// A process that was started by [`Command::spawn`](crate::Command::spawn).
///
/// Dropped, it runs on, unless it was told otherwise ([`kill_on_drop`](crate::Command::kill_on_drop)); no zombie remains.
#[derive(Debug)]
pub struct Child {
    state: State,
    kill_on_drop: bool,
    /// Its standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
}

#[derive(Debug)]
enum State {
    Running(Running),
    Ended(ExitStatus),
    /// It is being dropped.
    Gone,
}

impl Child {
    pub(crate) fn new(mut child: process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let mut child = Self {
            state: State::Running(Running::new(child)),
            // Nobody would know of it, should there be an error.
            kill_on_drop: true,
            stdin: None,
            stdout: None,
            stderr: None,
        };
        child.stdin = stdin.map(ChildStdin::from_std).transpose()?;
        child.stdout = stdout.map(ChildStdout::from_std).transpose()?;
        child.stderr = stderr.map(ChildStderr::from_std).transpose()?;
        child.kill_on_drop = kill_on_drop;
        Ok(child)
    }

    /// The number of the process; `None` once its end is known, since the number may be another's then.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) => Some(running.child.id()),
            State::Ended(_) | State::Gone => None,
        }
    }

    /// Closes its standard input and waits until it has ended. Yields with what status; again the same when it is called
    /// again.
    ///
    /// # Errors
    ///
    /// Those of `waitpid(2)`: `ECHILD` when the process ignores SIGCHLD, or somebody else has waited for the child.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: another call waits on.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        // It may wait for the end of it.
        self.stdin = None;
        let status = match &mut self.state {
            State::Running(running) => running.wait().await?,
            State::Ended(status) => *status,
            State::Gone => unreachable!("it is dropped after that"),
        };
        self.end(status);
        Ok(status)
    }

    fn end(&mut self, status: ExitStatus) {
        self.state = State::Ended(status);
    }

    /// The status, if it has ended.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = match &mut self.state {
            State::Running(running) => running.child.try_wait()?,
            State::Ended(status) => Some(*status),
            State::Gone => None,
        };
        if let Some(status) = status {
            self.end(status);
        }
        Ok(status)
    }

    /// Has it end at once (SIGKILL), and does not wait for that. Does nothing when it has ended.
    ///
    /// # Errors
    ///
    /// Those of `kill(2)`: when it has become another user's.
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Running(running) => running.child.kill(),
            State::Ended(_) | State::Gone => Ok(()),
        }
    }

    /// Has it end at once (SIGKILL), and waits for that.
    ///
    /// # Errors
    ///
    /// As for [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// It is killed when this is polled; another call waits on.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Sends it a signal ([`kill(2)`](https://man7.org/linux/man-pages/man2/kill.2.html)), such as SIGTERM (15), which asks
    /// it to end. Does nothing when its end is known. Not in tokio; std's is unstable.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number that is no signal's, real-time ones included, and those of `kill(2)`.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        match &self.state {
            State::Running(running) => running.signal(signal),
            State::Ended(_) | State::Gone => Ok(()),
        }
    }

    /// Closes its standard input, reads what it writes to its output and error to the end, if they are pipes, and waits until
    /// it has ended.
    ///
    /// # Errors
    ///
    /// Those of reading, and as for [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the child, and what was read is lost.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (status, stdout, stderr) =
            heist_sync::try_join!(self.wait(), all_of(stdout), all_of(stderr))?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

async fn all_of(pipe: Option<impl AsyncRead>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

impl Drop for Child {
    fn drop(&mut self) {
        if let State::Running(mut running) = std::mem::replace(&mut self.state, State::Gone) {
            if self.kill_on_drop {
                // It may have ended by itself.
                drop(running.child.kill());
            }
            orphans::adopt(running);
        }
    }
}
