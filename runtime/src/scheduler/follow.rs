//! Tasks follow their data: a connection is served best on the CPU where its packets arrive.
//!
//! A receiver asks now and then on which CPU its socket's data arrives (`SO_INCOMING_CPU`). When another
//! worker runs there, the task moves to it if that evens the load out; when the two are level it moves
//! with a small probability, so that two ends of a connection that chase each other settle.

use std::sync::atomic::Ordering;

use crate::driver::remote::Remote;
use crate::scheduler::worker::Worker;

/// Chance, one in so many, of a move between workers that are level.
const LEVEL_CHANCE: u64 = 8;
/// A worker with more than so many times the operations of another, and this many more, is crowded.
const CROWD: u64 = 2;
const CROWD_MARGIN: u64 = 16;

impl Worker {
    /// Whether the current task, which runs here although it receives through the ring of `home`, should
    /// receive here from now on.
    ///
    /// It should at once when `home` is stuck in another task: it may be so again and again, and every
    /// completion has to be rescued from it. Otherwise it should when `home` has far more to do than
    /// this worker; asked now and then, this is what spreads connections that were all made in one place.
    pub(crate) fn should_stay(&self, home: &Remote, asked_now_and_then: bool) -> Option<usize> {
        if !self.shared().config.steals || self.current().is_none_or(|task| task.header().pinned) {
            return None;
        }
        let here = self.driver().remote();
        let crowded = || {
            asked_now_and_then
                && home.in_flight() > CROWD * here.in_flight() + CROWD_MARGIN
                && !here.was_stuck_lately()
        };
        (home.is_stuck() || crowded()).then_some(self.index())
    }

    /// The worker that the current task should move to because its data arrives on `cpu`.
    pub(crate) fn better_place(&self, cpu: i32) -> Option<usize> {
        if !self.shared().config.steals || self.current().is_none_or(|task| task.header().pinned) {
            return None;
        }
        self.note_cpu();
        let here = self.driver().remote();
        if here.cpu.load(Ordering::Relaxed) == cpu {
            return None;
        }
        let (target, peer) = self.peers().iter().enumerate().find(|(index, peer)| {
            *index != self.index()
                && peer.present.load(Ordering::Relaxed)
                && peer.remote.cpu.load(Ordering::Relaxed) == cpu
                && !peer.remote.was_stuck_lately()
        })?;
        let (ours, theirs) = (here.in_flight(), peer.remote.in_flight());
        let margin = 2 + (ours + theirs) / 32;
        if theirs + margin <= ours {
            return Some(target);
        }
        if theirs > ours + margin {
            return None;
        }
        self.random().is_multiple_of(LEVEL_CHANCE).then_some(target)
    }
}
