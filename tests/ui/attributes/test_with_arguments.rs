#[heist::test]
async fn a_test(n: u32) {}

fn main() {}
