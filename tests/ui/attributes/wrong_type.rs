#[heist::main]
async fn number() -> u32 {
    let text = "four";
    text
}

#[heist::main]
async fn nothing() -> Result<(), std::io::Error> {
    heist::yield_now().await;
}

#[heist::main]
async fn question_mark() {
    "4".parse::<u32>()?;
}

fn main() {}
