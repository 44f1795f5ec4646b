//! HTTP clients that fetch two thousand pages from nginx, and ten thousand slow ones.

fn main() {
    heist_bench::harness::run("crawl", heist_bench::scenarios::crawl::list);
}
