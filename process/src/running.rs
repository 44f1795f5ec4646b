//! A process that has not been waited for.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use heist_runtime::ops::{self, SharedFd};
use heist_sync::time::sleep;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// `POLLIN` of `poll(2)`, which a pidfd has once its process has ended.
const ENDED: u32 = 0x001;
/// The pauses between two looks at a process that has no pidfd.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// See the module. While this exists and has not seen the end, the process, or its zombie, has its number for itself.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Unless the system has none to give.
    pidfd: Option<SharedFd>,
}

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self {
            child,
            pidfd: pidfd.map(SharedFd::new),
        }
    }

    /// As if there were no pidfds.
    #[cfg(test)]
    pub(crate) fn without_pidfd(child: Child) -> Self {
        Self { child, pidfd: None }
    }

    /// Waits for the end, and takes the status. Dropped, it has taken nothing, or the child knows it.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let (mut pause, longest) = PAUSES;
        let mut told = false;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            match &self.pidfd {
                Some(pidfd) if !told => {
                    // If that fails, it is looked after in pauses: the process is there all the same.
                    drop(ops::poll_ready(pidfd, ENDED).await);
                    told = true;
                }
                // Told and not there: a debugger may have it for a while.
                _ => {
                    sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    pub(crate) fn signal(&self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or_else(|| {
            let message = format!("{number} is the number of no signal that has a name");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal)?,
            None => {
                let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
                kill_process(pid.ok_or(io::ErrorKind::NotFound)?, signal)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    /// Control, tried: an error of the poll is one of `wait`.
    #[test]
    fn a_process_whose_pidfd_cannot_be_polled_is_waited_for_all_the_same() {
        // `O_PATH`: nothing can be done with it.
        let mut options = std::fs::File::options();
        let path = options.read(true).custom_flags(0x20_0000).open("/");
        let child = Command::new("sleep").arg("0.1").spawn();
        let mut running = Running {
            child: child.expect("sleep"),
            pidfd: Some(SharedFd::new(path.expect("it is there").into())),
        };
        heist_runtime::block_on(async {
            assert!(running.wait().await.expect("its status").success());
        });
    }

    /// Where a sandbox has no pidfds.
    #[test]
    fn a_process_without_a_pidfd_is_waited_for_all_the_same() {
        heist_runtime::block_on(async {
            let child = Command::new("sleep").arg("0.1").spawn();
            let mut running = Running::without_pidfd(child.expect("sleep"));
            let began = Instant::now();
            assert!(running.wait().await.expect("its status").success());
            assert!(began.elapsed() >= Duration::from_millis(90));
            let child = Command::new("sleep").arg("1000").spawn();
            let mut running = Running::without_pidfd(child.expect("sleep"));
            running.signal(15).expect("it is ours");
            assert!(!running.wait().await.expect("its status").success());
        });
    }
}
