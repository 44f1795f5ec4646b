//! 64 tasks that share a mutex.

fn main() {
    heist_bench::harness::run("mutex", heist_bench::scenarios::mutex::list);
}
