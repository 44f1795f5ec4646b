//! HTTP servers under the load of wrk and h2load.

fn main() {
    heist_bench::harness::run("http_server", heist_bench::scenarios::http_server::list);
}
