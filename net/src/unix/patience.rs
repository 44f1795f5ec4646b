//! Trying again where the kernel does not say when it is time.

use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

const FIRST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(10);

/// The pauses between tries: of 100 us at first, and each twice as long, up to 10 ms.
pub(super) struct Patience {
    next: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    pub(super) async fn pause(&mut self) {
        Timer::new(Instant::now() + self.next).await;
        self.next = LONGEST.min(self.next * 2);
    }
}
