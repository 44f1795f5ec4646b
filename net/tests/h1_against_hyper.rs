//! The codec against hyper's: the same bytes, cut elsewhere, must mean the same.
//!
//! A generator makes responses that are valid or nearly so, each from a number of its own; both clients read them over
//! one or more exchanges of a connection. Where this codec is stricter on purpose, `differences.rs` names the rule.
//!
//! `HEIST_SEED=123 cargo test -p heist-net --test h1_against_hyper` runs that one case and shows it;
//! `HEIST_LONG=1` runs millions.
//!
//! | file | idea |
//! |---|---|
//! | `generate.rs` | [`Case`](generate::Case): bytes from a seed, and what is known about them |
//! | `outcome.rs` | what the caller of either client sees |
//! | `ours.rs` | drives the codec |
//! | `theirs.rs` | drives hyper's connection by hand, without a runtime |
//! | `differences.rs` | which differences are meant |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "h1_against_hyper/generate.rs"]
mod generate;
#[path = "h1_against_hyper/outcome.rs"]
mod outcome;
#[path = "h1_against_hyper/ours.rs"]
mod ours;
#[path = "h1_against_hyper/theirs.rs"]
mod theirs;
#[path = "h1_against_hyper/differences.rs"]
mod differences;

use std::collections::BTreeMap;

use differences::{MEANT, explain};
use generate::Case;
use outcome::End;

/// Cases of the short run; together with those of the long one they are the numbers from 0 on.
const SHORT: u64 = 24_000;
const LONG: u64 = 4_000_000;

/// What came of all cases.
#[derive(Default)]
struct Tally {
    cases: u64,
    exchanges: u64,
    complete: u64,
    reused: u64,
    errors: u64,
    meant: BTreeMap<&'static str, u64>,
}

/// Control: each of these in the codec is found: `ends_in_chunked` by the first coding, a bare LF behind a chunk's data,
/// `decide` without the `close` of the response.
#[test]
fn the_same_bytes_mean_the_same() {
    if let Ok(seed) = std::env::var("HEIST_SEED") {
        let case = Case::new(seed.parse().unwrap());
        println!("{case}");
        println!("ours: {:#?}", ours::run(&case));
        println!("hyper: {:#?}", theirs::run(&case));
        check(&case, &mut Tally::default());
        return;
    }
    let count = match std::env::var_os("HEIST_LONG") {
        Some(_) => LONG,
        None => SHORT,
    };
    // Each half in a thread of its own.
    let halves = std::thread::scope(|scope| {
        let half = |first| move || tally((first..count).step_by(2));
        [scope.spawn(half(0)), scope.spawn(half(1))].map(|half| half.join().unwrap())
    });
    let [mut all, other] = halves;
    all.add(other);
    println!(
        "{} cases, {} exchanges: {} complete, {} connections used again, {} errors",
        all.cases, all.exchanges, all.complete, all.reused, all.errors
    );
    for (rule, count) in &all.meant {
        println!("{count:8} {rule}");
    }
    // The generator reaches all of it, or the comparison says less than it seems to.
    assert!(all.complete > count / 2 && all.reused > count / 5 && all.errors > count / 10);
    for rule in MEANT {
        assert!(all.meant.contains_key(rule), "no case shows that {rule}");
    }
}

fn tally(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        check(&Case::new(seed), &mut tally);
    }
    tally
}

fn check(case: &Case, tally: &mut Tally) {
    let (ours, theirs) = (ours::run(case), theirs::run(case));
    tally.cases += 1;
    let pairs = case.exchanges.iter().zip(ours.iter().zip(&theirs));
    for (number, (exchange, (ours, theirs))) in pairs.enumerate() {
        tally.exchanges += 1;
        match ours.end {
            End::Complete { reusable } => {
                tally.complete += 1;
                tally.reused += u64::from(reusable);
            }
            End::Error(_) => tally.errors += 1,
            End::Waiting => {}
        }
        match explain(exchange, ours, theirs) {
            Ok(None) => {}
            Ok(Some(rule)) => *tally.meant.entry(rule).or_default() += 1,
            Err(what) => panic!(
                "HEIST_SEED={}: in exchange {number} {what}\n{case}\nours: {ours:?}\nhyper: {theirs:?}",
                case.seed
            ),
        }
        // Both agree, but they could both be wrong: what the generator meant is what they must have understood.
        if let Some(body) = &exchange.meaning {
            assert!(
                matches!(ours.end, End::Complete { .. }) && ours.body == *body,
                "HEIST_SEED={}: exchange {number} is valid\n{case}\nours: {ours:?}",
                case.seed
            );
        }
    }
    // Where one goes on, so does the other, but for what is explained above.
    let fewest = ours.len().min(theirs.len());
    let agreed = ours.len() == theirs.len() || ours[fewest - 1].end != theirs[fewest - 1].end;
    assert!(agreed, "HEIST_SEED={}: one goes on\n{case}", case.seed);
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.exchanges += other.exchanges;
        self.complete += other.complete;
        self.reused += other.reused;
        self.errors += other.errors;
        for (rule, count) in other.meant {
            *self.meant.entry(rule).or_default() += count;
        }
    }
}
