use heist::sync::select;

async fn run() {
    select! {
        std::future::ready(1) => (),
    }
}

fn main() {
    let _ = run();
}
