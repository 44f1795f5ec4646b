//! Tasks follow their data: a connection is served best on the CPU where its packets arrive.
//!
//! A receiver asks now and then on which CPU its socket's data arrives (`SO_INCOMING_CPU`). When another
//! worker runs there, the task moves to it if that evens the load out; when the two are level it moves
//! with a small probability, so that two ends of a connection that chase each other settle.
//!
//! Three reasons to move can disagree, and rank so: away from a worker that is stuck, or was lately; away
//! from one that rests (see [`homes`](super::homes)), and never to one; to the CPU of the data.

use std::sync::atomic::Ordering;

use crate::driver::remote::Remote;
use crate::scheduler::shared::Peer;
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
    /// completion has to be rescued from it. Otherwise it should, asked now and then, when `home` rests, or
    /// has far more to do than this worker, which spreads connections that were all made in one place.
    pub(crate) fn should_stay(&self, home: &Remote, asked_now_and_then: bool) -> Option<usize> {
        if !self.shared().config.steals || self.current().is_none_or(|task| task.header().pinned) {
            return None;
        }
        let here = self.driver().remote();
        let crowded = || home.in_flight() > CROWD * here.in_flight() + CROWD_MARGIN;
        let better_here = || {
            asked_now_and_then
                && !here.is_resting()
                && !here.was_stuck_lately()
                && (home.is_resting() || crowded())
        };
        (home.is_stuck() || better_here()).then_some(self.index())
    }

    /// The worker that the current task should move to because its data arrives on `cpu`, or because this
    /// worker rests.
    pub(crate) fn better_place(&self, cpu: i32) -> Option<usize> {
        if !self.shared().config.steals || self.current().is_none_or(|task| task.header().pinned) {
            return None;
        }
        self.note_cpu();
        let here = self.driver().remote();
        if here.is_resting() {
            return self.refuge(cpu);
        }
        if here.cpu.load(Ordering::Relaxed) == cpu {
            return None;
        }
        let (target, peer) = self
            .possible_homes()
            .find(|(_, peer)| peer.remote.cpu.load(Ordering::Relaxed) == cpu)?;
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

    /// Other workers that connections may move to.
    fn possible_homes(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.peers().iter().enumerate().filter(|(index, peer)| {
            *index != self.index()
                && peer.present.load(Ordering::Relaxed)
                && !peer.remote.is_resting()
                && !peer.remote.was_stuck_lately()
        })
    }

    /// Where a connection goes whose home rests: preferably to where its data arrives.
    fn refuge(&self, cpu: i32) -> Option<usize> {
        let distance = |(_, peer): &(usize, &Peer)| {
            let elsewhere = peer.remote.cpu.load(Ordering::Relaxed) != cpu;
            (elsewhere, peer.remote.in_flight())
        };
        self.possible_homes()
            .min_by_key(distance)
            .map(|(index, _)| index)
    }
}
