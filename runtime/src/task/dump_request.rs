//! Asking the workers for their tasks.
//!
//! A list of tasks belongs to its worker's thread, so each worker answers for its own, when it next reads its
//! mail. One that is stuck in a task does not answer; that is told instead, and is often what one wanted to
//! know.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::driver::remote::Message;
use crate::handle::Handle;
use crate::scheduler::shared::Shared;
use crate::task::DumpNode;
use crate::task::list::OwnedList;
use crate::time::{Instant, Timer};
use std::future::Future;

/// How long the workers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The tasks and scopes of a runtime at about one moment; see [`dump_tasks`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TaskTree {
    /// Tasks that are nobody's children, with what is below them. A task that has never waited is not
    /// among them.
    pub tasks: Vec<DumpNode>,
    /// Workers that did not answer in time, because they are stuck in a task.
    pub stuck_workers: Vec<usize>,
}

impl fmt::Display for TaskTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tasks wait", self.tasks.len())?;
        self.tasks.iter().try_for_each(|task| task.fmt(f))?;
        for worker in &self.stuck_workers {
            writeln!(f, "worker {worker} does not answer: it is stuck in a task")?;
        }
        Ok(())
    }
}

/// What the workers have answered.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    state: Mutex<Answers>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Answers {
    tasks: Vec<DumpNode>,
    /// By worker.
    answered: Vec<bool>,
    waker: Option<Waker>,
}

impl Answers {
    fn is_complete(&self) -> bool {
        self.answered.iter().all(|answered| *answered)
    }

    fn tree(&mut self) -> TaskTree {
        let silent = self.answered.iter().enumerate();
        TaskTree {
            tasks: std::mem::take(&mut self.tasks),
            stuck_workers: silent.filter(|(_, is)| !**is).map(|(at, _)| at).collect(),
        }
    }
}

/// The tasks in `list` that are nobody's children.
pub(crate) fn gather(list: &OwnedList) -> Vec<DumpNode> {
    let mut tasks = Vec::new();
    list.for_each(|task| {
        let scope = task.scope();
        if scope.parent().is_none() {
            tasks.push(DumpNode::of(&scope));
        }
    });
    tasks
}

impl Collector {
    fn state(&self) -> MutexGuard<'_, Answers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Worker, or whoever stands in for one that no thread runs: answers with what [`gather`] has found.
    /// It calls a waker, so nothing may be locked.
    pub(crate) fn answer(&self, worker: usize, mut tasks: Vec<DumpNode>) {
        let waker = {
            let mut state = self.state();
            state.tasks.append(&mut tasks);
            state.answered[worker] = true;
            if state.is_complete() {
                state.waker.take()
            } else {
                None
            }
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            crate::panics::wake(waker);
        }
    }

    fn ask(shared: &Shared) -> Arc<Self> {
        let collector = Arc::new(Self::default());
        collector.state().answered = vec![false; shared.peers.len()];
        for (index, peer) in shared.peers.iter().enumerate() {
            peer.remote.send(Message::Dump(collector.clone()));
            shared.settle_mail_if_absent(index);
        }
        collector
    }
}

/// The tree of the current runtime's tasks and scopes: names, ages, whether they are being cancelled, and
/// where they wait. The scope tree is the call graph of what waits (asyncio: `print_call_graph`).
///
/// It waits for a second at most for workers that are stuck in a task.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let task = heist_runtime::task::Builder::new()
///         .name("sleeper")
///         .spawn(std::future::pending::<()>());
///     heist_runtime::yield_now().await;
///     let tree = heist_runtime::task::dump_tasks().await;
///     assert!(tree.to_string().contains("sleeper"));
/// #   task.cancel();
/// });
/// ```
pub async fn dump_tasks() -> TaskTree {
    let collector = Collector::ask(Handle::current().shared());
    let mut patience = pin!(Timer::masked(Instant::now() + PATIENCE));
    poll_fn(|cx| {
        {
            let mut state = collector.state();
            if state.is_complete() {
                return Poll::Ready(state.tree());
            }
            state.waker = Some(cx.waker().clone());
        }
        patience
            .as_mut()
            .poll(cx)
            .map(|()| collector.state().tree())
    })
    .await
}

impl Handle {
    /// As [`dump_tasks`], for threads outside the runtime: a debugger's, or one that a signal wakes. It
    /// blocks for a second at most.
    #[must_use]
    pub fn dump_tasks(&self) -> TaskTree {
        let collector = Collector::ask(self.shared());
        let state = collector.state();
        let waited = collector
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.is_complete());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.tree()
    }
}
