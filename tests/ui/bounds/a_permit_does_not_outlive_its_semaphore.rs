use heist::sync::Semaphore;

fn main() {
    heist::block_on(async {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().await.unwrap();
        heist::spawn(async move { drop(permit) });
    });
}
