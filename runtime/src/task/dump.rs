//! The tree of tasks and scopes, for those who want to know what waits for what.

use std::fmt;
use std::time::Duration;

use crate::scope::age;
use crate::scope::node::NodeRef;

/// A task or a scope, and what is below it.
///
/// Tasks below tasks can be deeper than a stack, so nothing here recurses.
#[non_exhaustive]
pub struct DumpNode {
    /// `task`, or what kind of scope it is.
    pub kind: &'static str,
    /// The task's id; `None` for a scope.
    pub id: Option<crate::task::Id>,
    /// The task's name, if it has one.
    pub name: Option<String>,
    /// Whether it is being cancelled.
    pub cancelled: bool,
    /// How long ago it was made, or for a task began to wait for the first time, to some milliseconds.
    pub age: Duration,
    /// Where the leaf waits that was pending last here, as file, line and column.
    pub waits_at: Option<String>,
    /// What is below.
    pub children: Vec<Self>,
}

impl DumpNode {
    /// Looks at `scope` and everything below it. Each node is looked at for itself, so the whole need not
    /// have been there at any one moment.
    pub(crate) fn of(scope: &NodeRef) -> Self {
        build(scope.clone(), Self::look, |scope| scope.children())
    }

    fn look(scope: &NodeRef) -> Self {
        let task = scope.task();
        let header = task.map(|task| task.header());
        let age = scope.age().unwrap_or_else(|| {
            let born = header.map_or(0, |header| {
                header.born.load(std::sync::atomic::Ordering::Relaxed)
            });
            age::of(born)
        });
        Self {
            kind: scope.name(),
            id: header.map(|header| header.id),
            name: header.and_then(|header| header.name().map(str::to_owned)),
            cancelled: scope.flags.get().is_cancelled(),
            age,
            waits_at: scope.waits_at().map(ToString::to_string),
            children: Vec::new(),
        }
    }

    fn without_children(&self) -> Self {
        Self {
            kind: self.kind,
            id: self.id,
            name: self.name.clone(),
            cancelled: self.cancelled,
            age: self.age,
            waits_at: self.waits_at.clone(),
            children: Vec::new(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}{}", "", self.kind, indent = depth * 2)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        if self.cancelled {
            f.write_str(", being cancelled")?;
        }
        write!(f, ", {:?} old", self.age)?;
        if let Some(at) = &self.waits_at {
            write!(f, ", waits at {at}")?;
        }
        writeln!(f)
    }
}

/// Makes a tree of what `look` sees at `top` and at all that is below it.
fn build<S>(top: S, look: impl Fn(&S) -> DumpNode, below: impl Fn(&S) -> Vec<S>) -> DumpNode {
    let begin = |place: S| (look(&place), below(&place).into_iter());
    let (mut node, mut rest) = begin(top);
    let mut above = Vec::new();
    loop {
        if let Some(child) = rest.next() {
            above.push((node, rest));
            (node, rest) = begin(child);
        } else {
            let Some((mut parent, siblings)) = above.pop() else {
                return node;
            };
            parent.children.push(node);
            (node, rest) = (parent, siblings);
        }
    }
}

impl Clone for DumpNode {
    fn clone(&self) -> Self {
        build(
            self,
            |node| node.without_children(),
            |node| node.children.iter().collect(),
        )
    }
}

impl Drop for DumpNode {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.children);
        while let Some(mut node) = left.pop() {
            left.append(&mut node.children);
        }
    }
}

/// As it is displayed.
impl fmt::Debug for DumpNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DumpNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = vec![(self, 0)];
        while let Some((node, depth)) = left.pop() {
            node.write(f, depth)?;
            left.extend(node.children.iter().rev().map(|child| (child, depth + 1)));
        }
        Ok(())
    }
}

/// The whole tree that `scope` is in.
pub(crate) fn around(scope: &NodeRef) -> DumpNode {
    let mut top = scope.clone();
    while let Some(parent) = top.parent() {
        top = parent;
    }
    DumpNode::of(&top)
}
