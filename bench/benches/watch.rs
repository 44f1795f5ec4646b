//! 64 tasks that watch a value.

fn main() {
    heist_bench::harness::run("watch", heist_bench::scenarios::watch::list);
}
