use heist::sync::select;

async fn no_condition() -> u8 {
    select! {
        n = std::future::ready(1), if "on" => n,
        else => 0,
    }
}

async fn another_pattern() -> u8 {
    select! {
        Some(n) = std::future::ready(1_u8) => n,
        else => 0,
    }
}

async fn handlers_that_differ() -> u8 {
    select! {
        n = std::future::ready(1) => n,
        text = std::future::ready("2") => text,
    }
}

fn main() {
    let _ = (no_condition(), another_pattern(), handlers_that_differ());
}
