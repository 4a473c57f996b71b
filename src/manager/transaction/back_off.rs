//! How long to wait before a transaction is tried again (rule D5).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The pause before a repetition, counted from 0: twice as long each time, and between half of it and all of it at random,
/// so that transactions which were in each other's way do not meet again.
pub(super) fn pause(repetition: u32) -> Duration {
    let full = FIRST.saturating_mul(2_u32.saturating_pow(repetition)).min(LONGEST);
    // Every `RandomState` is keyed differently.
    let random = RandomState::new().hash_one(repetition) % 1024;
    full / 2 + full.mul_f64(random as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        for (repetition, milliseconds) in [(0, 10), (1, 20), (2, 40), (6, 640), (7, 1000), (40, 1000), (u32::MAX, 1000)]
        {
            let full = Duration::from_millis(milliseconds);
            let pauses: Vec<_> = (0..100).map(|_| pause(repetition)).collect();
            assert!(pauses.iter().all(|pause| (full / 2..=full).contains(pause)), "{repetition}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{repetition}: {pauses:?}");
        }
    }
}
