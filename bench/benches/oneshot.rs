//! A channel for one value, within one task.

fn main() {
    heist_bench::harness::run("oneshot", heist_bench::scenarios::oneshot::list);
}
