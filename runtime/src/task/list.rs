//! The tasks a worker is responsible for: linked when their first poll was pending, so that a task that
//! never waits costs nothing here.
//!
//! Only the owner's thread touches a list. A task that ends on another worker is unlinked through the
//! owner's mailbox, or by that worker while no thread runs the owner (see `scheduler/absence`).

use std::cell::Cell;

use crate::task::raw::TaskRef;

/// A doubly linked list through the tasks' headers.
#[derive(Debug, Default)]
pub(crate) struct OwnedList {
    first: Cell<Option<TaskRef>>,
    length: Cell<usize>,
}

impl OwnedList {
    pub(crate) fn len(&self) -> usize {
        self.length.get()
    }

    pub(crate) fn link(&self, task: TaskRef) {
        let links = &task.header().links;
        let first = self.first.replace(Some(task));
        links.previous.set(None);
        links.next.set(first);
        if let Some(first) = first {
            first.header().links.previous.set(Some(task));
        }
        self.length.set(self.length.get() + 1);
    }

    pub(crate) fn unlink(&self, task: TaskRef) {
        let links = &task.header().links;
        let (previous, next) = (links.previous.take(), links.next.take());
        match previous {
            Some(previous) => previous.header().links.next.set(next),
            None => self.first.set(next),
        }
        if let Some(next) = next {
            next.header().links.previous.set(previous);
        }
        self.length.set(self.length.get() - 1);
    }

    /// Calls `visit` for every task in the list; it may not unlink any.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(TaskRef)) {
        let mut at = self.first.get();
        while let Some(task) = at {
            at = task.header().links.next.get();
            visit(task);
        }
    }
}
