use std::rc::Rc;

fn main() {
    heist::block_on(async {
        heist::spawn(async { Rc::new(1) });
    });
}
