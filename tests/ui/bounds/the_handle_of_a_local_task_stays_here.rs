use std::rc::Rc;

fn send<T: Send>(_: T) {}

fn main() {
    heist::block_on(async {
        send(heist::spawn_local(async { Rc::new(1) }));
    });
}
