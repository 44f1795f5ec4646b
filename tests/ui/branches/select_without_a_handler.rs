use heist::sync::select;

async fn run() {
    select! {
        n = std::future::ready(1),
        n = std::future::ready(2) => drop(n),
    }
}

async fn of_else() {
    select! {
        n = std::future::ready(1) => drop(n),
        else
    }
}

fn main() {
    let _ = (run(), of_else());
}
