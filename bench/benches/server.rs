//! An echo server whose clients are another process: its processor time for a thousand messages.

fn main() {
    heist_bench::harness::run("server", heist_bench::scenarios::server::list);
}
