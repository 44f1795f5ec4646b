//! 2000 computations of 10 to 500 us, spawned by one task: wall time.

fn main() {
    heist_bench::harness::run("uneven", heist_bench::scenarios::uneven::list);
}
