//! Spawning 100,000 tasks from a task, and waiting for them.

fn main() {
    heist_bench::harness::run("spawn", heist_bench::scenarios::spawn::list);
}
