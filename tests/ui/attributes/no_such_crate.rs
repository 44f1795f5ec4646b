#[heist::main(crate = "thieves")]
async fn main() {}
