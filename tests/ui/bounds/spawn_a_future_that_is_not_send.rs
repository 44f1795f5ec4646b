use std::rc::Rc;

fn main() {
    heist::block_on(async {
        let shared = Rc::new(1);
        heist::spawn(async move {
            heist::yield_now().await;
            drop(shared);
        });
    });
}
