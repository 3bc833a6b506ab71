//! A value that threads leave for each other, and two flags, in one atomic word.
//!
//! | word | flags | meaning | next |
//! |---|---|---|---|
//! | null | `f` | empty | `leave` with the flags `f`: an address, `f` |
//! | an address | `f` | a value is there | `take` with a mask that fits `f`: null, `f` |
//! | either | `f` | | `set`: the same, with other flags |
//!
//! The flags are in the low bits, which an aligned address leaves free. Only the thread that changes the
//! word from an address to null owns the value, and only it. So leaving and taking are one atomic operation
//! each, and nothing is counted.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Mutex;

use crate::sys::primitive::{AtomicPtr, Ordering};

/// A place for one boxed value.
pub(crate) struct Slot<P> {
    word: AtomicPtr<P>,
    /// The value moves between threads as through a mutex.
    owns: PhantomData<Mutex<Box<P>>>,
}

/// The bits of the flags.
const FLAGS: usize = 0b11;

impl<P> Slot<P> {
    /// Returns an empty slot without flags.
    pub(crate) fn new() -> Self {
        const { assert!(align_of::<P>() > FLAGS, "the flags need room") };
        Self {
            word: AtomicPtr::new(std::ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Whether a value is there. The answer is out of date at once.
    pub(crate) fn is_taken(&self) -> bool {
        // Relaxed: nothing is read through the address.
        address(self.word.load(Ordering::Relaxed)).is_some()
    }

    /// Whether all these flags are set.
    #[inline]
    pub(crate) fn has(&self, flags: usize) -> bool {
        self.word.load(Ordering::Acquire).addr() & flags == flags
    }

    /// Takes the value, if there is one and the flags in the mask are these.
    #[inline]
    pub(crate) fn take(&self, mask: usize, flags: usize) -> Option<Box<P>> {
        let may_be_taken = |word: *mut P| address(word).is_some() && word.addr() & mask == flags;
        // Relaxed: the exchange below compares the word again.
        let mut word = self.word.load(Ordering::Relaxed);
        while may_be_taken(word) {
            // Acquire: what the thread that left the value did before happens before what this one does now.
            match self.change(word, alone(word.addr() & FLAGS), Ordering::Acquire) {
                Ok(()) => {
                    let value = word.map_addr(|address| address & !FLAGS);
                    // SAFETY: the address came from a box in `leave_by`, and no other thread has changed the
                    // word from it to null since.
                    return Some(unsafe { Box::from_raw(value) });
                }
                Err(now) => word = now,
            }
        }
        None
    }

    /// Leaves the value, if none is there and the flags are exactly these. Otherwise returns it.
    pub(crate) fn leave(&self, value: Box<P>, flags: usize) -> Result<(), Box<P>> {
        Self::leave_by(value, |_| Some(self), flags)
    }

    /// Leaves a value that leads to its slot, and may keep the slot alive, as [`leave`](Self::leave) does.
    #[inline]
    pub(crate) fn leave_by<'s>(
        value: Box<P>,
        slot: impl FnOnce(&'s P) -> Option<&'s Self>,
        flags: usize,
    ) -> Result<(), Box<P>>
    where
        P: 's,
    {
        let value = Box::into_raw(value);
        // SAFETY: the value is this function's until the word is changed, after which neither it nor
        // the slot is touched here.
        let Some(slot) = slot(unsafe { &*value }) else {
            // SAFETY: it came from the box above.
            return Err(unsafe { Box::from_raw(value) });
        };
        let word = value.map_addr(|address| address | (flags & FLAGS));
        // Release: see `take`.
        match slot.change(alone(flags), word, Ordering::Release) {
            Ok(()) => Ok(()),
            // SAFETY: it came from the box above, and the word never was its address.
            Err(_) => Err(unsafe { Box::from_raw(value) }),
        }
    }

    /// Sets the flags in the mask to these. Returns whether a value was there at that moment.
    pub(crate) fn set(&self, mask: usize, flags: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let changed = word.map_addr(|address| (address & !mask) | flags);
            // Both: the value that is there passes through this change to whoever takes it.
            match self.change(word, changed, Ordering::AcqRel) {
                Ok(()) => return address(word).is_some(),
                Err(now) => word = now,
            }
        }
    }

    fn change(&self, from: *mut P, to: *mut P, order: Ordering) -> Result<(), *mut P> {
        self.word
            // A failure returns the word only, and its address is not followed.
            .compare_exchange(from, to, order, Ordering::Relaxed)
            .map(drop)
    }
}

impl<P> Drop for Slot<P> {
    fn drop(&mut self) {
        // A mask of 0 fits all flags.
        drop(self.take(0, 0));
    }
}

impl<P> fmt::Debug for Slot<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("is_taken", &self.is_taken())
            .finish_non_exhaustive()
    }
}

/// Returns the address in the word, without the flags.
fn address<P>(word: *mut P) -> Option<NonNull<P>> {
    NonNull::new(word.map_addr(|address| address & !FLAGS))
}

/// Returns the word of an empty slot with these flags.
fn alone<P>(flags: usize) -> *mut P {
    std::ptr::without_provenance_mut(flags & FLAGS)
}

#[cfg(all(test, not(lockfast_model)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_value_is_taken_once_and_only_with_its_flags() {
        let slot = Slot::new();
        assert!(slot.take(0, 0).is_none() && !slot.is_taken());
        slot.leave(Box::new(7_u64), 0b01)
            .expect_err("another flag is set");
        assert!(!slot.set(0b01, 0b01));
        slot.leave(Box::new(7_u64), 0b01).expect("nothing is there");
        slot.leave(Box::new(8_u64), 0b01).expect_err("taken");
        assert!(slot.is_taken());
        assert!(slot.take(0b10, 0b10).is_none());
        assert!(slot.set(0b11, 0b10), "it is still there");
        assert_eq!(slot.take(0b10, 0b10).as_deref(), Some(&7));
        assert!(slot.take(0, 0).is_none());
    }

    #[test]
    fn the_value_is_dropped_with_its_slot() {
        let value = Arc::new(());
        let slot = Slot::new();
        slot.leave(Box::new(Arc::clone(&value)), 0)
            .expect("nothing is there");
        drop(slot);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn threads_pass_on_a_plain_number() {
        let slot = Slot::new();
        slot.leave(Box::new(0_u64), 0).expect("nothing is there");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut number = loop {
                            match slot.take(0, 0) {
                                Some(number) => break number,
                                None => std::thread::yield_now(),
                            }
                        };
                        *number += 1;
                        slot.leave(number, 0).expect("this thread has it");
                    }
                });
            }
        });
        assert_eq!(slot.take(0, 0).as_deref(), Some(&4000));
    }
}
