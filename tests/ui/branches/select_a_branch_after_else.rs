use heist::sync::select;

async fn run() -> u8 {
    select! {
        else => 1,
        n = std::future::ready(2) => n,
    }
}

fn main() {
    let _ = run();
}
