fn main() {
    heist::block_on(async {
        let text = String::from("local");
        heist::spawn_local(async { text.len() }).await.unwrap();
    });
}
