//! Echo at a low rate, alone and beside tasks that compute: the p99 round-trip time.

fn main() {
    heist_bench::harness::run("low_rate", heist_bench::scenarios::low_rate::list);
}
