//! 64 tasks that read blocks of 4 KiB from a cached file: the time of a thousand reads.

fn main() {
    heist_bench::harness::run("files", heist_bench::scenarios::files::list);
}
