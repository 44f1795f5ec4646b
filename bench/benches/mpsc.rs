//! 64 tasks that send to one.

fn main() {
    heist_bench::harness::run("mpsc", heist_bench::scenarios::mpsc::list);
}
