//! 64 tasks that receive every item.

fn main() {
    heist_bench::harness::run("broadcast", heist_bench::scenarios::broadcast::list);
}
