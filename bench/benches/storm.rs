//! Connections that are opened, used once and closed: the time of a thousand.

fn main() {
    heist_bench::harness::run("storm", heist_bench::scenarios::storm::list);
}
