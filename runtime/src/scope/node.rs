//! A scope as a node of the tree: one counted allocation, or a part of a task's.
//!
//! # Who may touch which field when
//!
//! | field | who |
//! |---|---|
//! | `flags`, `busy`, `waits_at` | anybody; they are atomic |
//! | `inner` | under its lock |
//! | `previous`, `next` | under the lock of the parent |
//! | `waker` | under the lock of `inner` |
//! | `refs`, `wakes`, `name`, `born` | the first two are atomic; the others are written once, before the node is shared |
//! | `deadline` | anybody, under its own lock |
//!
//! # Locks
//!
//! Every node has one, and nobody ever holds two, nor calls foreign code under one. What concerns a parent
//! and a child is done in two steps, each of which leaves the tree consistent (see `tree`).

#![expect(
    unsafe_code,
    reason = "counted pointers, and lists that run through the nodes"
)]

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::PoisonError;
use std::sync::atomic::AtomicPtr;
use std::task::Waker;
use std::time::Duration;

use crate::primitives::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::primitives::{Mutex, MutexGuard, UnsafeCell};
use crate::scope::cleanup::BoxedCleanup;
use crate::scope::flags::{Flags, Kind, Snapshot};
use crate::task::TaskRef;
use crate::time::Instant;

/// What every scope has.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) flags: Flags,
    /// How many below are still unwinding.
    pub(super) busy: AtomicU32,
    /// Where the last leaf in this scope waits.
    waits_at: AtomicPtr<Location<'static>>,
    inner: Mutex<Inner>,
    previous: UnsafeCell<Option<NonNull<Self>>>,
    next: UnsafeCell<Option<NonNull<Self>>>,
}

/// What the lock of a node guards.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) parent: Option<NodeRef>,
    first_child: Option<NonNull<Node>>,
    /// Cleanups to be run here, a box of its own because it is rarely needed.
    #[expect(clippy::box_collection, reason = "a task has room for one pointer")]
    pub(super) adopted: Option<Box<Vec<BoxedCleanup>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(adopted) = self.adopted.take() else {
            return;
        };
        // What came when nobody looked any more.
        for cleanup in *adopted {
            crate::scope::cleanup::skip(cleanup);
        }
    }
}

/// A scope that is not a task's root.
#[repr(C)]
struct HeapNode {
    node: Node,
    refs: AtomicUsize,
    /// Wakes that are under way: noted, and the waker not called yet.
    wakes: AtomicU32,
    /// The waker the scope was last polled with.
    waker: UnsafeCell<Option<Waker>>,
    /// When it is to be cancelled; whoever runs the scope sees to it. A lock of its own, held for a moment.
    deadline: std::sync::Mutex<Option<Instant>>,
    name: &'static str,
    born: std::time::Instant,
}

// SAFETY: the table above says who may touch what; everything a node owns may be sent and shared.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            flags: Flags::new(kind),
            busy: AtomicU32::new(0),
            waits_at: AtomicPtr::new(std::ptr::null_mut()),
            inner: Mutex::new(Inner::default()),
            previous: UnsafeCell::new(None),
            next: UnsafeCell::new(None),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.flags.note_used();
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether dropping it would do nothing; the caller is the last who knows of it.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        !self.flags.get().was_used()
    }

    /// Takes the count of the scope above, which a node has until it is freed.
    #[inline]
    pub(crate) fn give_up_parent(&self) -> Option<NodeRef> {
        if self.is_bare() {
            return None;
        }
        self.lock().parent.take()
    }

    /// The scopes right below.
    pub(crate) fn children(&self) -> Vec<NodeRef> {
        self.lock().children()
    }

    /// The scope right above.
    pub(crate) fn parent(&self) -> Option<NodeRef> {
        self.lock().parent.clone()
    }

    #[inline]
    pub(crate) fn note_wait(&self, at: &'static Location<'static>) {
        let at = std::ptr::from_ref(at).cast_mut();
        // Relaxed: it points to constant data, and is only ever shown.
        self.waits_at
            .store(at, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn waits_at(&self) -> Option<&'static Location<'static>> {
        let at = NonNull::new(self.waits_at.load(std::sync::atomic::Ordering::Relaxed))?;
        // SAFETY: `note_wait` stores nothing but pointers to `'static` locations.
        Some(unsafe { at.as_ref() })
    }
}

impl Inner {
    /// The children, counted, so that they may be used without the lock.
    pub(super) fn children(&self) -> Vec<NodeRef> {
        let mut children = Vec::new();
        self.for_each_child(|child| children.push(child.clone()));
        children
    }

    /// Calls `visit` for every child; it may not take the lock of the parent.
    pub(super) fn for_each_child(&self, mut visit: impl FnMut(&NodeRef)) {
        let mut at = self.first_child;
        while let Some(child) = at {
            // SAFETY: a linked node is kept by its owner, which unlinks it first, under the lock that we
            // hold. The reference is not dropped, so it need not be counted.
            let child = unsafe { NodeRef::borrowed(child) };
            visit(&child);
            // SAFETY: linked here, and we hold the lock.
            at = child.next.with(|next| unsafe { *next });
        }
    }

    /// Links a node that is in no list. The caller owns it and takes it out again before it gives it up.
    pub(super) fn push_child(&mut self, child: &NodeRef) {
        let first = self.first_child.replace(child.0);
        // SAFETY: the lock of the parent is held, and the node is nowhere else.
        child
            .previous
            .with_mut(|previous| unsafe { *previous = None });
        // SAFETY: as above.
        child.next.with_mut(|next| unsafe { *next = first });
        if let Some(first) = first {
            // SAFETY: linked nodes are alive, and their links belong to the holder of the lock.
            let first = unsafe { first.as_ref() };
            // SAFETY: as above.
            first
                .previous
                .with_mut(|previous| unsafe { *previous = Some(child.0) });
        }
    }

    /// Takes a node out that `push_child` has put in here.
    pub(super) fn remove_child(&mut self, child: &NodeRef) {
        // SAFETY: it is linked here, and the lock is held.
        let previous = child
            .previous
            .with_mut(|previous| unsafe { (*previous).take() });
        // SAFETY: as above.
        let next = child.next.with_mut(|next| unsafe { (*next).take() });
        match previous {
            Some(previous) => {
                // SAFETY: a neighbour is linked, hence alive.
                let previous = unsafe { previous.as_ref() };
                // SAFETY: the lock is held.
                previous.next.with_mut(|place| unsafe { *place = next });
            }
            None => self.first_child = next,
        }
        if let Some(next) = next {
            // SAFETY: a neighbour is linked, hence alive.
            let next = unsafe { next.as_ref() };
            // SAFETY: the lock is held.
            next.previous.with_mut(|place| unsafe { *place = previous });
        }
    }
}

/// A pointer to a node that is kept by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uncounted(pub(super) NonNull<Node>);

// SAFETY: nodes are made to be shared between threads.
unsafe impl Send for Uncounted {}
// SAFETY: as above.
unsafe impl Sync for Uncounted {}

/// A counted pointer to a node: to a heap node of its own, or to a task's root, which counts for the task.
pub(crate) struct NodeRef(NonNull<Node>);

// SAFETY: nodes are made to be shared between threads.
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

impl NodeRef {
    /// A new scope.
    pub(crate) fn new(kind: Kind, name: &'static str) -> Self {
        Self::born(Node::new(kind), name, None)
    }

    /// A new scope that has an owner, with the parent that it is about to be linked to.
    pub(super) fn owned(
        kind: Kind,
        name: &'static str,
        deadline: Option<Instant>,
        parent: Option<Self>,
    ) -> Self {
        let mut node = Node::new(kind);
        node.flags = Flags::owned(kind);
        node.inner = Mutex::new(Inner {
            parent,
            first_child: None,
            adopted: None,
        });
        Self::born(node, name, deadline)
    }

    fn born(node: Node, name: &'static str, deadline: Option<Instant>) -> Self {
        let place = crate::memory::allocate::<HeapNode>();
        let node = HeapNode {
            node,
            refs: AtomicUsize::new(1),
            wakes: AtomicU32::new(0),
            waker: UnsafeCell::new(None),
            deadline: std::sync::Mutex::new(deadline),
            name,
            born: crate::scope::age::instant(),
        };
        // SAFETY: the memory is for a node, and nobody else's.
        unsafe { place.write(node) };
        // The pointer is one to the whole allocation.
        Self(place.cast())
    }

    pub(crate) fn as_ptr(&self) -> NonNull<Node> {
        self.0
    }

    /// A counted pointer beside one that is there.
    ///
    /// # Safety
    ///
    /// The node is alive, and `node` comes from [`as_ptr`](Self::as_ptr) or from `TaskRef::scope`.
    pub(crate) unsafe fn from_ptr(node: NonNull<Node>) -> Self {
        // SAFETY: by the contract.
        let borrowed = unsafe { Self::borrowed(node) };
        (*borrowed).clone()
    }

    /// A pointer that is not counted.
    ///
    /// # Safety
    ///
    /// As for [`from_ptr`](Self::from_ptr), and the node stays alive as long as what is returned is used.
    pub(crate) unsafe fn borrowed(node: NonNull<Node>) -> std::mem::ManuallyDrop<Self> {
        std::mem::ManuallyDrop::new(Self(node))
    }

    /// Gives the count to a raw pointer.
    pub(super) fn into_raw(self) -> *const () {
        let node = std::mem::ManuallyDrop::new(self);
        node.0.as_ptr().cast_const().cast()
    }

    /// Takes the count back.
    ///
    /// # Safety
    ///
    /// `raw` comes from [`into_raw`](Self::into_raw), and its count is not used again.
    pub(super) unsafe fn from_raw(raw: *const ()) -> Self {
        Self(NonNull::new(raw.cast_mut().cast()).expect("it was a reference"))
    }

    /// The task whose root this is.
    pub(crate) fn task(&self) -> Option<TaskRef> {
        self.flags
            .get()
            .is_root()
            // SAFETY: only the node in a task's header is of this kind.
            .then(|| unsafe { TaskRef::of_scope(self.0) })
    }

    fn heap(&self) -> Option<&HeapNode> {
        if self.flags.get().is_root() {
            return None;
        }
        // SAFETY: every node but a root is the first field of a `HeapNode`, and the pointer was made from
        // one to the whole of it.
        Some(unsafe { self.0.cast::<HeapNode>().as_ref() })
    }

    /// What kind of scope it is, for those who look at the tree.
    pub(crate) fn name(&self) -> &'static str {
        self.heap().map_or("task", |heap| heap.name)
    }

    /// How long ago it was made.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.heap().map(|heap| heap.born.elapsed())
    }

    /// When the scope is to be cancelled.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *self
            .heap()?
            .deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_deadline(&self, deadline: Option<Instant>) {
        if let Some(heap) = self.heap() {
            *heap.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        }
    }

    /// Replaces the waker of a heap node; a root needs none. The old one is returned, to be dropped
    /// without the lock.
    pub(super) fn replace_waker(&self, waker: Waker) -> Option<Waker> {
        let heap = self.heap()?;
        let _inner = self.lock();
        self.flags.forget_call();
        // SAFETY: the lock of `inner` is held.
        heap.waker
            .with_mut(|place| unsafe { (*place).replace(waker) })
    }

    /// Takes the waker out, under the lock of which `inner` is the proof.
    pub(super) fn take_waker(&self, _inner: &Inner) -> Option<Waker> {
        let heap = self.heap()?;
        // SAFETY: the lock of `inner` is held.
        heap.waker.with_mut(|place| unsafe { (*place).take() })
    }

    /// Wakes what was last polled here.
    pub(super) fn wake(&self) {
        self.wake_and(|_| {});
    }

    /// Wakes what a cancel has marked, as the last thing that this cancel does with it.
    pub(super) fn wake_untold(&self) {
        self.wake_and(Flags::tell);
    }

    fn wake_and(&self, noted: impl FnOnce(&Flags)) {
        let _under_way = self.heap().map(UnderWay::begin);
        let (before, waker) = self.take_for_wake();
        noted(&self.flags);
        self.note_above(before);
        if let Some(waker) = waker {
            crate::panics::wake(waker);
        }
        if let Some(task) = self.task()
            && task.header().blocking
            && self.flags.get().is_cancelled()
        {
            task.withdraw();
        }
    }

    /// Notes that it is woken. Returns how it was before, and the waker of what was last polled here, unless it was
    /// called since. It is taken, not cloned: a foreign waker's clone is foreign code, and a waker that was called
    /// has done what it is there for.
    fn take_for_wake(&self) -> (Snapshot, Option<Waker>) {
        if let Some(task) = self.task() {
            return (self.flags.woken(false), Some(task.waker()));
        }
        let inner = self.lock();
        let waker = self.take_waker(&inner);
        (self.flags.woken(waker.is_some()), waker)
    }

    /// Whether somebody who has noted that this was woken has not called its waker yet. Once it says no, what that
    /// call did has happened.
    pub(super) fn is_wake_under_way(&self) -> bool {
        self.heap()
            .is_some_and(|heap| heap.wakes.load(Ordering::Acquire) > 0)
    }

    /// Whether this is the only reference to a heap node. Then nobody else can come to have one.
    pub(super) fn is_alone(&self) -> bool {
        // Acquire: what others did with the node happens before what is done now.
        self.heap()
            .is_some_and(|heap| heap.refs.load(Ordering::Acquire) == 1)
    }

    /// Ends a node that is in no list and [`is_alone`](Self::is_alone). Returns its waker.
    ///
    /// # Safety
    ///
    /// It is alone.
    pub(super) unsafe fn close_alone(&self) -> Option<Waker> {
        self.flags.close_alone();
        let heap = self.heap()?;
        // SAFETY: nobody else has a reference, by the contract, so nobody holds the lock or waits for it.
        heap.waker.with_mut(|place| unsafe { (*place).take() })
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub(super) fn address(&self) -> usize {
        self.0.addr().get()
    }
}

/// A wake that is under way.
struct UnderWay<'a>(&'a HeapNode);

impl<'a> UnderWay<'a> {
    fn begin(heap: &'a HeapNode) -> Self {
        // Relaxed: whoever sees the note that follows, which is a release, sees this.
        heap.wakes.fetch_add(1, Ordering::Relaxed);
        Self(heap)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.wakes.fetch_sub(1, Ordering::Release);
    }
}

impl Deref for NodeRef {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        // SAFETY: the count, or whoever made a borrowed one, keeps the node alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for NodeRef {
    fn clone(&self) -> Self {
        match self.heap() {
            Some(heap) => {
                let before = heap.refs.fetch_add(1, Ordering::Relaxed);
                if before > usize::MAX / 2 {
                    // Only leaking references in a loop gets here.
                    std::process::abort();
                }
            }
            None => self.task().expect("a root").header().state.add_reference(),
        }
        Self(self.0)
    }
}

impl NodeRef {
    /// Gives the count back. The last one frees the node, and gets that of the parent.
    #[inline]
    fn release(self) -> Option<Self> {
        let node = std::mem::ManuallyDrop::new(self);
        let Some(heap) = node.heap() else {
            let task = node.task().expect("a root");
            let last = task.header().state.drop_reference();
            return last.then(|| task.free_below()).flatten();
        };
        // AcqRel: what others did with the node happens before it is freed. The last one need not say so.
        if !node.is_alone() && heap.refs.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        let parent = node.give_up_parent();
        let heap = node.0.cast::<HeapNode>();
        // SAFETY: this was the last reference.
        unsafe { heap.drop_in_place() };
        // SAFETY: it comes from `allocate`, see `new`.
        unsafe { crate::memory::deallocate(heap) };
        parent
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        // In a loop: a line of tasks, each below the one that spawned it, may be of any length.
        let mut next = Self(self.0).release();
        while let Some(node) = next {
            next = node.release();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("flags", &self.flags)
            .field("busy", &self.busy.load(Ordering::Relaxed))
            .field("waits_at", &self.waits_at())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    /// A task has 192 bytes, of which this may take a third.
    #[test]
    fn a_root_is_small() {
        assert_eq!(size_of::<super::Node>(), 64);
    }
}
