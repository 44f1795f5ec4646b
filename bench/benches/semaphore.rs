//! 64 tasks that share 8 permits.

fn main() {
    heist_bench::harness::run("semaphore", heist_bench::scenarios::semaphore::list);
}
