//! Low-rate echo connections beside a spinning task: the p99 round-trip time.

fn main() {
    heist_bench::harness::run("spin", heist_bench::scenarios::spin::list);
}
