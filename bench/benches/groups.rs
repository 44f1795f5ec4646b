//! A thousand tasks in a set, and in a group.

fn main() {
    heist_bench::harness::run("groups", heist_bench::scenarios::groups::list);
}
