//! Files opened, read and closed, and one that is written: the time of a thousand, or of the whole.

fn main() {
    heist_bench::harness::run("small_files", heist_bench::scenarios::small_files::list);
}
