//! Lookups that several callers share, and what is known of earlier ones.
//!
//! A lookup runs in a task of its own, so that it belongs to no caller: one who is cancelled or dropped leaves the
//! others theirs. The last one to leave cancels it. Answers and running lookups are behind one lock, so a caller finds
//! one or the other, and nothing is asked twice at a time.
//!
//! ```text
//!            begin: insert weak          land: remove, remember, set Some
//!  (nothing) ---------------> running ---------------------------------> known
//!      ^                         |                                         |
//!      +-- the last caller left, |                                         |
//!          or the runtime ended: |                                         |
//!          remove, set None -----+                                         |
//!      +------------------------------------------- its time is over ------+
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use heist_runtime::spawn;
use heist_runtime::task::AbortHandle;
use heist_runtime::time::Instant;
use heist_sync::SetOnce;

use super::cache::Cache;

/// How often a caller starts over when the runtime that looked up for it has gone.
const STARTS: usize = 3;

/// Running lookups and known answers, by key.
pub(super) struct Shared<K, V> {
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    running: HashMap<K, Weak<Flight<V>>>,
    known: Cache<K, V>,
}

/// One running lookup. It ends with its last caller.
pub(super) struct Flight<V> {
    /// `None` when its task has gone without an outcome.
    outcome: SetOnce<Option<V>>,
    task: OnceLock<AbortHandle>,
}

impl<V> Drop for Flight<V> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.cancel();
        }
    }
}

/// The duty of a lookup to end: with [`land`](Self::land), or without an outcome when it is dropped.
pub(super) struct Ticket<K: Eq + Hash, V> {
    shared: Arc<Shared<K, V>>,
    key: K,
    flight: Weak<Flight<V>>,
}

impl<K, V> Shared<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Remembers so many answers.
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                running: HashMap::new(),
                known: Cache::new(capacity),
            }),
        })
    }

    /// A known answer.
    #[cfg(feature = "dns")]
    pub(super) fn known(&self, key: &K) -> Option<V> {
        self.state().known.get(key, Instant::now)
    }

    /// A known answer, or that of the lookup that runs, or else of one that is begun: `work` must give its ticket an
    /// outcome. `None` when lookups end with their runtimes, again and again.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        key: &K,
        work: impl Fn(Ticket<K, V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        for _ in 0..STARTS {
            let flight = match self.join(key) {
                Joined::Known(value) => return Some(value),
                Joined::Running(flight) => flight,
                Joined::Begun(flight) => {
                    let ticket = Ticket {
                        shared: Arc::clone(self),
                        key: key.clone(),
                        flight: Arc::downgrade(&flight),
                    };
                    let task = spawn(work(ticket));
                    // It is new, and nobody else begins it.
                    let _ = flight.task.set(task.abort_handle());
                    flight
                }
            };
            if let Some(value) = flight.outcome.wait().await {
                return Some(value.clone());
            }
        }
        None
    }

    fn join(&self, key: &K) -> Joined<V> {
        let mut state = self.state();
        if let Some(value) = state.known.get(key, Instant::now) {
            return Joined::Known(value);
        }
        if let Some(flight) = state.running.get(key).and_then(Weak::upgrade) {
            return Joined::Running(flight);
        }
        let flight = Arc::new(Flight {
            outcome: SetOnce::new(),
            task: OnceLock::new(),
        });
        state.running.insert(key.clone(), Arc::downgrade(&flight));
        Joined::Begun(flight)
    }
}

impl<K, V> Shared<K, V> {
    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        // Nothing of ours panics within; a key's or value's own code is a comparison or a clone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all answers. What runs goes on, and is remembered.
    #[cfg(feature = "dns")]
    pub(super) fn forget(&self) {
        let forgotten = self.state().known.take();
        drop(forgotten);
    }

    /// How many answers are remembered, and how many lookups run.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.known.len(), state.running.len())
    }
}

enum Joined<V> {
    Known(V),
    Running(Arc<Flight<V>>),
    Begun(Arc<Flight<V>>),
}

impl<K: Clone + Eq + Hash, V: Clone> Ticket<K, V> {
    /// Keeps the lookup from ending when all callers have left. `None` if they have already.
    pub(super) fn keep(&self) -> Option<Arc<Flight<V>>> {
        self.flight.upgrade()
    }

    /// Gives the outcome to all who wait, and remembers it for so long.
    pub(super) fn land(self, outcome: V, keep: Option<Duration>) {
        let until = keep.map(|keep| Instant::now().saturating_add(keep));
        {
            let mut state = self.shared.state();
            state.remove(&self.key, &self.flight);
            if let Some(until) = until {
                state.known.insert(self.key.clone(), outcome.clone(), until);
            }
        }
        if let Some(flight) = self.flight.upgrade() {
            // Only the ticket sets it.
            let _ = flight.outcome.set(Some(outcome));
        }
    }
}

impl<K: Eq + Hash, V> State<K, V> {
    /// Another lookup may have begun under the key since the last caller of this one left.
    fn remove(&mut self, key: &K, flight: &Weak<Flight<V>>) {
        let is_ours = |found: &Weak<Flight<V>>| found.ptr_eq(flight);
        if self.running.get(key).is_some_and(is_ours) {
            self.running.remove(key);
        }
    }
}

impl<K: Eq + Hash, V> Drop for Ticket<K, V> {
    fn drop(&mut self) {
        self.shared.state().remove(&self.key, &self.flight);
        if let Some(flight) = self.flight.upgrade() {
            // Fails when it has landed.
            let _ = flight.outcome.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use heist_runtime::{Runtime, block_on, yield_now};
    use heist_sync::{Event, join_all};

    type Numbers = Shared<u32, usize>;

    /// Lookups that count themselves, and end when they may.
    #[derive(Default, Clone)]
    struct Lookups {
        begun: Arc<AtomicUsize>,
        dropped: Arc<AtomicUsize>,
        may_end: Arc<Event>,
    }

    struct CountDrop(Arc<AtomicUsize>);

    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    impl Lookups {
        fn work(&self, keep: Option<Duration>) -> impl Fn(Ticket<u32, usize>) -> Work + use<> {
            let all = self.clone();
            move |ticket| {
                let all = all.clone();
                Box::pin(async move {
                    let _count = CountDrop(all.dropped);
                    let number = all.begun.fetch_add(1, SeqCst);
                    all.may_end.wait().await;
                    ticket.land(number, keep);
                })
            }
        }
    }

    type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    async fn until(condition: impl Fn() -> bool) {
        while !condition() {
            yield_now().await;
        }
    }

    #[test]
    fn callers_share_a_lookup_and_then_what_is_known() {
        block_on(async {
            let (shared, lookups) = (Numbers::new(8), Lookups::default());
            let work = lookups.work(Some(Duration::from_secs(60)));
            let callers = (0..100).map(|_| shared.get(&7, &work));
            let all = async {
                until(|| lookups.begun.load(SeqCst) == 1).await;
                lookups.may_end.set();
            };
            let (outcomes, ()) = heist_sync::join!(join_all(callers), all);
            assert!(outcomes.iter().all(|outcome| *outcome == Some(0)));
            assert_eq!(shared.get(&7, &work).await, Some(0));
            assert_eq!(shared.get(&8, &work).await, Some(1));
            assert_eq!(shared.counts(), (2, 0));
        });
    }

    /// Negative control: a lookup that is run by its first caller instead of a task of its own, or one that ends
    /// with its first caller.
    #[test]
    fn a_caller_that_leaves_takes_nothing_from_the_others() {
        block_on(async {
            let (shared, lookups) = (Numbers::new(8), Lookups::default());
            let work = lookups.work(None);
            let mut first = Box::pin(shared.get(&7, &work));
            std::future::poll_fn(|cx| {
                assert!(first.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            let mut second = Box::pin(shared.get(&7, &work));
            std::future::poll_fn(|cx| {
                assert!(second.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            drop(first);
            until(|| lookups.begun.load(SeqCst) == 1).await;
            lookups.may_end.set();
            assert_eq!(second.await, Some(0));
        });
    }

    /// Negative control: a flight without its `Drop`.
    #[test]
    fn the_last_caller_that_leaves_ends_the_lookup() {
        block_on(async {
            let (shared, lookups) = (Numbers::new(8), Lookups::default());
            let work = lookups.work(None);
            let callers = (0..3)
                .map(|_| {
                    let (shared, work) = (Arc::clone(&shared), lookups.work(None));
                    spawn(async move { shared.get(&7, work).await })
                })
                .collect::<Vec<_>>();
            until(|| lookups.begun.load(SeqCst) == 1).await;
            for caller in callers {
                assert_eq!(lookups.dropped.load(SeqCst), 0);
                assert!(caller.cancel_and_join().await.unwrap_err().is_cancelled());
            }
            until(|| lookups.dropped.load(SeqCst) == 1).await;
            until(|| shared.counts() == (0, 0)).await;
            lookups.may_end.set();
            assert_eq!(shared.get(&7, &work).await, Some(1));
        });
    }

    #[test]
    fn a_lookup_that_ends_with_its_runtime_is_begun_again() {
        let (shared, lookups) = (Numbers::new(8), Lookups::default());
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        block_on(async {
            let work = lookups.work(None);
            let first = handle.spawn({
                let (shared, work) = (Arc::clone(&shared), lookups.work(None));
                async move { shared.get(&7, work).await }
            });
            until(|| lookups.begun.load(SeqCst) == 1).await;
            let second = shared.get(&7, &work);
            let end = async {
                yield_now().await;
                // It waits for its tasks, so not on a worker.
                let ended = heist_runtime::spawn_blocking(move || drop(runtime));
                ended.await.unwrap();
                lookups.may_end.set();
            };
            let (outcome, ()) = heist_sync::join!(second, end);
            assert_eq!(outcome, Some(1));
            assert!(first.await.is_err());
        });
    }

    #[test]
    fn a_lookup_without_an_outcome_is_an_answer_too() {
        block_on(async {
            let shared = Numbers::new(8);
            assert_eq!(
                shared.get(&7, |ticket| async move { drop(ticket) }).await,
                None
            );
            let panics = |_: Ticket<u32, usize>| async { panic!("on purpose") };
            assert_eq!(shared.get(&7, panics).await, None);
            assert_eq!(shared.counts(), (0, 0));
        });
    }
}
