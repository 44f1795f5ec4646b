//! Wake-ups without a value.

fn main() {
    heist_bench::harness::run("notify", heist_bench::scenarios::notify::list);
}
