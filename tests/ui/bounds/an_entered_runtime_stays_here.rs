fn send<T: Send>(_: T) {}

fn main() {
    let runtime = heist::Runtime::new().unwrap();
    send(runtime.enter());
}
