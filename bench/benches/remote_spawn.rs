//! Spawning 100,000 tasks from a thread outside the runtime.

fn main() {
    heist_bench::harness::run("remote_spawn", heist_bench::scenarios::remote_spawn::list);
}
