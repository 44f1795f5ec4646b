#[heist::main(worker_threads = 0)]
async fn none() {}

#[heist::main(worker_threads = "two")]
async fn text() {}

#[heist::main(flavor = "single")]
async fn flavor() {}

#[heist::main(profile = "fast")]
async fn profile() {}

#[heist::main(start_paused = 1)]
async fn start_paused() {}

#[heist::main(crate = 1)]
async fn path() {}

#[heist::main(crate = "a-b")]
async fn path_text() {}

#[heist::main(flavor = "current_thread", worker_threads = 2)]
async fn contradiction() {}

fn main() {}
