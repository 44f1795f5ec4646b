use heist::sync::{join, try_join};

async fn run() {
    join!(std::future::ready(1) std::future::ready(2));
    join!(biased;, std::future::ready(1));
    let _: Result<(u8, u8), ()> = try_join!(std::future::ready(Ok(1)) std::future::ready(Ok(2)));
}

fn main() {
    let _ = run();
}
