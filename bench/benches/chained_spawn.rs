//! A chain of 1000 tasks, each spawned by the one before.

fn main() {
    heist_bench::harness::run("chained_spawn", heist_bench::scenarios::chained_spawn::list);
}
