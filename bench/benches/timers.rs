//! Timeouts, the lateness of 100,000 sleeps (p99), the lateness of a few (p50).

fn main() {
    heist_bench::harness::run("timers", heist_bench::scenarios::timers::list);
}
