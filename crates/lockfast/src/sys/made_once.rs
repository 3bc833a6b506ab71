//! A value that is made when it is first needed, without a wait.
//!
//! With `std::sync::OnceLock` a thread waits while another one makes the value. A fork in that moment copies
//! the state "being made" into a child without the thread that makes it, and the child waits for ever. Here
//! several threads may make the value. The first one to publish it wins, and the others drop theirs. A fork
//! copies the value or nothing.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A place for a value that stays once it is there.
///
/// | `value` | meaning |
/// |---|---|
/// | null | not made yet, or being made by threads that have not published theirs |
/// | an address | the box that was published first; it never changes again |
pub(crate) struct MadeOnce<T> {
    value: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T> MadeOnce<T> {
    /// Returns an empty place.
    pub(crate) const fn new() -> Self {
        Self {
            value: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Returns the value, if it has been made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire: what was written into the box before it was published.
        let value = self.value.load(Ordering::Acquire);
        // SAFETY: null, or a box that `get_or_make` published and that lives as long as this place.
        unsafe { value.as_ref() }
    }

    /// Returns the value, and makes it first if it is not there. If another thread publishes its own
    /// meanwhile, that one is returned and the one made here is dropped.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let own = Box::into_raw(Box::new(make()));
        // Release: whoever reads the address sees the value. Acquire: if another thread was first, its value
        // is used.
        let published =
            self.value
                .compare_exchange(ptr::null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
        if published.is_err() {
            // SAFETY: it came from the box above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(own) });
        }
        self.get()
            .expect("this thread or another one has published it")
    }
}

impl<T> Default for MadeOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for MadeOnce<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: the box that `get_or_make` published; nobody refers to it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

// SAFETY: it is a box that threads share: one may make the value, another use it, a third drop it.
unsafe impl<T: Send> Send for MadeOnce<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for MadeOnce<T> {}

impl<T: fmt::Debug> fmt::Debug for MadeOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MadeOnce").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn all_threads_see_one_value_and_every_value_is_dropped_once() {
        const THREADS: usize = 4;
        let (made, dropped) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let place = MadeOnce::new();
        assert!(place.get().is_none());
        let start = Barrier::new(THREADS);
        let seen: Vec<_> = thread::scope(|scope| {
            let look = || {
                start.wait();
                let value = place.get_or_make(|| {
                    made.fetch_add(1, Ordering::SeqCst);
                    Counted(Arc::clone(&dropped))
                });
                ptr::from_ref(value).addr()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(look)).collect();
            let mut seen = Vec::new();
            for thread in threads {
                seen.push(thread.join().expect("no panic"));
            }
            seen
        });
        assert!(seen.iter().all(|&value| value == seen[0]));
        drop(place);
        assert_eq!(made.into_inner(), dropped.load(Ordering::SeqCst));
    }
}
