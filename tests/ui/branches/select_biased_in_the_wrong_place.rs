use heist::sync::select;

async fn at_the_end() -> u8 {
    select! {
        n = std::future::ready(1) => n,
        biased;
    }
}

async fn with_a_comma() -> u8 {
    select! {
        biased,
        n = std::future::ready(1) => n,
    }
}

fn main() {
    let _ = (at_the_end(), with_a_comma());
}
