use std::rc::Rc;

fn main() {
    heist::block_on(async {
        let shared = [Rc::new(1)];
        let all = heist::sync::join_all(shared.map(async |shared| {
            heist::yield_now().await;
            drop(shared);
        }));
        heist::spawn(all);
    });
}
