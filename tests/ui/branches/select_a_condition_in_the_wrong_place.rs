use heist::sync::select;

async fn of_the_pattern(on: bool) -> u8 {
    select! {
        n if on = std::future::ready(1) => n,
        else => 0,
    }
}

async fn without_the_comma(on: bool) -> u8 {
    select! {
        n = std::future::ready(1) if on => n,
        else => 0,
    }
}

async fn of_else(on: bool) -> u8 {
    select! {
        n = std::future::ready(1) => n,
        else, if on => 0,
    }
}

fn main() {
    let _ = (of_the_pattern(true), without_the_comma(true), of_else(true));
}
