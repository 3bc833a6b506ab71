//! A helper lets those go first whom it interrupted, while that is short.
//!
//! The kernel often runs a helper in the middle of the release that it waited for. A task that is told
//! then is woken on another processor, which mostly sleeps, and that takes longer than for the release
//! to end here. But one who goes on computing after the release is not waited for: it would take its
//! whole slice of some milliseconds. Which one it is shows when it was tried.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Courtesy {
    /// How many times more nobody is let go first.
    refusals: AtomicU32,
    /// How many times in a row that will be so when it took long once more.
    next_refusals: AtomicU32,
}

/// What takes longer was not worth it: to wake a processor takes half of this.
const LONG: Duration = Duration::from_micros(100);

/// A slice of a processor is a hundred times what there is to be gained, so it is tried again seldom:
/// less and less often where it takes long again and again.
const FEWEST_REFUSALS: u32 = 64;
const MOST_REFUSALS: u32 = 4096;

impl Courtesy {
    pub(super) const fn new() -> Self {
        Self {
            refusals: AtomicU32::new(0),
            next_refusals: AtomicU32::new(FEWEST_REFUSALS),
        }
    }

    /// Lets others go first if that was short the last time, or if it is time to try it again.
    pub(super) fn let_others_go_first(&self) {
        if self.refuses() {
            return;
        }
        let begun = Instant::now();
        thread::yield_now();
        self.learn(begun.elapsed());
    }

    /// Threads that do this at the same time may count it once: it is a measure, no more.
    fn refuses(&self) -> bool {
        let refusals = self.refusals.load(Ordering::Relaxed);
        if refusals > 0 {
            self.refusals.store(refusals - 1, Ordering::Relaxed);
        }
        refusals > 0
    }

    fn learn(&self, took: Duration) {
        let refusals = self.next_refusals.load(Ordering::Relaxed);
        let next = if took > LONG {
            self.refusals.store(refusals, Ordering::Relaxed);
            (refusals * 2).min(MOST_REFUSALS)
        } else {
            (refusals - refusals / 16).max(FEWEST_REFUSALS)
        };
        self.next_refusals.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(5);
    const SLICE: Duration = Duration::from_millis(3);

    fn refusals(courtesy: &Courtesy) -> u32 {
        (0..=MOST_REFUSALS)
            .find(|_| !courtesy.refuses())
            .expect("they end")
    }

    #[test]
    fn it_goes_on_while_it_is_short() {
        let courtesy = Courtesy::new();
        for _ in 0..100 {
            assert!(!courtesy.refuses());
            courtesy.learn(SHORT);
        }
    }

    #[test]
    fn it_is_tried_less_and_less_often_where_it_takes_long() {
        let courtesy = Courtesy::new();
        let mut last = 0;
        for _ in 0..6 {
            // Who computes is not always in the way.
            courtesy.learn(SHORT);
            courtesy.learn(SLICE);
            let now = refusals(&courtesy);
            assert!(now > last, "{now} after {last}");
            last = now;
        }
        for _ in 0..6 {
            courtesy.learn(SLICE);
        }
        assert_eq!(refusals(&courtesy), MOST_REFUSALS);
    }

    #[test]
    fn what_took_long_is_forgotten_when_it_is_short_again() {
        let courtesy = Courtesy::new();
        for _ in 0..10 {
            courtesy.learn(SLICE);
        }
        for _ in 0..100 {
            courtesy.learn(SHORT);
        }
        courtesy.learn(SLICE);
        assert_eq!(refusals(&courtesy), FEWEST_REFUSALS);
    }
}
