//! Numbers for tests that try many things: the same ones each time.

/// A source of numbers below what it is given (a linear congruential generator; quality does not matter).
pub(crate) fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}
