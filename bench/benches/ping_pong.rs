//! 1000 pairs of tasks that exchange a message over oneshot channels.

fn main() {
    heist_bench::harness::run("ping_pong", heist_bench::scenarios::ping_pong::list);
}
