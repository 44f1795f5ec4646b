//! TCP echo in a closed loop: the time of a thousand messages.

fn main() {
    heist_bench::harness::run("echo", heist_bench::scenarios::echo::list);
}
