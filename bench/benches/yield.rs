//! 200 tasks that yield 1000 times each.

fn main() {
    heist_bench::harness::run("yield", heist_bench::scenarios::yields::list);
}
