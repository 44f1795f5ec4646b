#[heist::main(threads = 2, worker_thread = 2)]
async fn main() {}
