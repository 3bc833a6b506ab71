//! Telling threads apart, cheaply.

use std::cell::Cell;

use crate::sys::primitive;
use crate::sys::primitive::Ordering;

/// A thread of this process, or none; never given to another thread, even after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadToken(u64);

/// A thread that changes, as one thread tells and others may look.
#[derive(Debug, Default)]
pub(crate) struct AtomicThreadToken(primitive::AtomicU64);

impl AtomicThreadToken {
    pub(crate) fn load(&self) -> ThreadToken {
        ThreadToken(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn store(&self, thread: ThreadToken) {
        // Relaxed, as the load is: a thread only asks whether the token is its own, which it has
        // written itself.
        self.0.store(thread.0, Ordering::Relaxed);
    }
}

impl ThreadToken {
    /// No thread.
    pub(crate) const NONE: Self = Self(0);

    /// A thread that does not exist.
    #[cfg(test)]
    pub(crate) const fn for_test(number: u64) -> Self {
        Self(u64::MAX - number)
    }

    /// The number of the thread, for other languages.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The thread that asks.
    #[inline]
    pub(crate) fn current() -> Self {
        thread_local! {
            static OWN: Cell<u64> = const { Cell::new(0) };
        }
        // While the thread is torn down it is nobody, and then nothing is reported of it.
        OWN.try_with(|own| {
            // Numbers are never given twice, so a token of a thread that has ended is no other thread's.
            if own.get() == 0 {
                static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
                own.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Self(own.get())
        })
        .unwrap_or(Self::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_differ_and_stay_the_same() {
        let own = ThreadToken::current();
        assert_eq!(own, ThreadToken::current());
        assert_ne!(own, ThreadToken::NONE);
        let other = std::thread::spawn(ThreadToken::current).join();
        assert_ne!(own, other.expect("it does not panic"));
    }
}
