//! Connections that wait: the memory of one, a nanosecond standing for a byte.

fn main() {
    heist_bench::harness::run("idle", heist_bench::scenarios::idle::list);
}
