//! What is kept of hosts: those with work, that are slowed down, failed last or were given up, and a bounded number of others.

use heist::time::Instant;

use super::host::Rules;
use super::turns::{HostId, Hosts};
use crate::{Failure, FailureKind, Robots};

/// Hosts that are known before those with which nothing is the matter are forgotten: some 50 MB.
pub(super) const KNOWN: usize = 1 << 17;

/// Hosts that are looked at for one to forget. Where there are more than [`KNOWN`] with work, little is spent in vain.
const LOOKS: usize = 8;

/// Bytes of memory for the rules of all hosts. Those of most hosts take some hundreds. The largest `robots.txt` files take
/// half a megabyte, and whoever has made such a one can have it for as many names as there are.
pub(super) const RULES: usize = 256 << 20;

/// Bytes of rules that a host may have whatever the others have.
const FEW_RULES: usize = 2 << 10;

impl Hosts {
    /// Remembers every host. Who shares a frontier has their numbers for longer than they have work.
    pub(crate) fn remember_all(&mut self) {
        self.known = usize::MAX;
    }

    /// Forgets a host if there are many and one is at hand that is as good as one never heard of: nothing waits or is
    /// under way, it may be asked at once, did not fail of late, and its pages need not be counted.
    pub(super) fn forget_one(&mut self, now: Instant) -> Option<HostId> {
        if self.hosts.len() < self.known {
            return None;
        }
        for _ in 0..LOOKS.min(self.hosts.len()) {
            self.hand = (self.hand + 1) % self.hosts.len();
            let host = &self.hosts[self.hand];
            if !host.is_forgettable(now) || (host.pages > 0 && self.most_pages < u64::MAX) {
                continue;
            }
            self.by_origin.remove(&host.origin);
            self.rules_memory -= host.rules_memory;
            if let Some(address) = host.address
                && let Some(gate) = self.addresses.get(&address)
                && gate.active == 0
                && gate.next_at <= now
                && gate.waiting.is_empty()
            {
                self.addresses.remove(&address);
            }
            return Some(HostId(self.hand));
        }
        None
    }

    /// Takes the rules of a host into the account, or others in their place that take no memory.
    pub(super) fn fit(&mut self, id: HostId, mut rules: Rules) -> Rules {
        rules.robots.forget_sitemaps();
        let size = rules.robots.memory();
        let others = self.rules_memory - self.host(id).rules_memory;
        if size > FEW_RULES && others + size > self.most_rules {
            let text = "robots.txt is too large to be kept beside those of the other hosts, so nothing is fetched";
            rules = Rules {
                robots: Robots::disallow_all(),
                failure: Some(Failure::new(FailureKind::Robots, text)),
            };
        }
        // Of a host that was given up meanwhile they are not kept.
        let kept = if self.is_closed(id) {
            0
        } else {
            rules.robots.memory()
        };
        self.set_rules_memory(id, kept);
        rules
    }

    pub(super) fn set_rules_memory(&mut self, id: HostId, bytes: usize) {
        let before = std::mem::replace(&mut self.host_mut(id).rules_memory, bytes);
        self.rules_memory = self.rules_memory - before + bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Politeness;
    use crate::hosts::{Outcome, Turn};

    /// A crawl of many hosts keeps those that something is the matter with, and as many others as it may. The negative
    /// controls, both tried: forget whatever host there is; forget none.
    #[test]
    fn hosts_that_are_done_are_forgotten_when_there_are_many() {
        let politeness = Politeness::new().delay(Duration::ZERO).robots(false);
        for most_pages in [u64::MAX, 9] {
            let mut hosts = Hosts::new(politeness.clone(), most_pages);
            hosts.known = 10;
            let name = |number: usize| format!("http://127.0.0.1:{number}");
            // One that has a page, one that a page is fetched from, one that fails, one that is busy, one given up.
            let special: Vec<_> = (1..=5).map(|number| hosts.id(&name(number))).collect();
            let now = Instant::now();
            hosts.found(special[0], 1);
            for &id in &special[1..4] {
                let _ = hosts.start(id, true);
            }
            let _ = hosts.ended(special[2], Outcome::Failed, now);
            let _ = hosts.ended(special[3], Outcome::Busy(None), now);
            let _ = hosts.close(special[4]);
            for number in 100..1100 {
                let id = hosts.id(&name(number));
                hosts.found(id, 1);
                hosts.popped(id);
                let _ = hosts.start(id, true);
                let _ = hosts.ended(id, Outcome::Fine, Instant::now());
                // Out of the heap.
                while let Turn::Page(id) = hosts.next(Instant::now()) {
                    hosts.dry(id);
                }
            }
            let ids: Vec<_> = (1..=5).map(|number| hosts.id(&name(number))).collect();
            assert_eq!(ids, special);
            if most_pages == u64::MAX {
                assert!(hosts.hosts.len() <= 20, "{}", hosts.hosts.len());
                assert_eq!(hosts.by_origin.len(), hosts.hosts.len());
            } else {
                // So many pages they have had, and no more may they have.
                assert_eq!(hosts.hosts.len(), 1005);
            }
        }
    }

    /// The negative controls, both tried: keep whatever comes; keep it in the account when a host is given up.
    #[test]
    fn the_rules_of_all_hosts_take_bounded_memory() {
        const MOST: usize = 4 << 20;
        let mut hosts = Hosts::new(Politeness::new(), u64::MAX);
        hosts.most_rules = MOST;
        let file: String = (0..30_000)
            .map(|nth| format!("allow:/{nth:07x}\n"))
            .collect();
        let rules = |text: &str| Rules {
            robots: Robots::parse(format!("user-agent:*\n{text}").as_bytes(), "x"),
            failure: None,
        };
        let large = rules(&file).robots;
        assert!(large.memory() > 300_000 && large.memory() < file.len() * 4 / 3);
        let mut learn = |number: usize, rules: Rules| {
            let id = hosts.id(&format!("http://host-{number}.example"));
            hosts.learnt(id, rules, Instant::now());
            let kept = hosts.rules(id).expect("it has rules");
            assert!(hosts.rules_memory <= MOST + FEW_RULES);
            let refused = kept.failure.is_some();
            assert_eq!(kept.robots.allows("/x"), !refused);
            if number.is_multiple_of(2) {
                hosts.close(id);
            }
            refused
        };
        let clone = || Rules {
            robots: large.clone(),
            failure: None,
        };
        let fit = MOST / large.memory();
        for number in 0..fit * 2 {
            assert!(!learn(number, clone()), "{number}");
        }
        assert!(learn(fit * 2 + 1, clone()));
        assert!(!learn(fit * 2 + 3, rules("disallow: /private")));
        // Those that come anew replace those that were there.
        assert!(!learn(1, clone()));
    }
}
