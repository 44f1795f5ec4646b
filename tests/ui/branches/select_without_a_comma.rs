use heist::sync::select;

async fn run() -> u8 {
    select! {
        n = std::future::ready(1) => n
        n = std::future::ready(2) => n
    }
}

fn main() {
    let _ = run();
}
