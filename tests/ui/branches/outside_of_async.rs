use heist::sync::{join, select, try_join};

fn main() {
    let _ = join!(std::future::ready(1), std::future::ready(2));
    let _: Result<(u8, u8), ()> = try_join!(std::future::ready(Ok(1)), std::future::ready(Ok(2)));
    let _: u8 = select! { n = std::future::ready(1) => n };
}
