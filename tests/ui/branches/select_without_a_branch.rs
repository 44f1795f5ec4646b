use heist::sync::select;

async fn nothing() {
    select! {}
}

async fn only_an_order() {
    select! { biased; }
}

fn main() {
    let _ = (nothing(), only_an_order());
}
