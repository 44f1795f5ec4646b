use std::rc::Rc;

fn main() {
    heist::block_on(async {
        let shared = Rc::new(1);
        heist::spawn_blocking(move || drop(shared));
    });
}
