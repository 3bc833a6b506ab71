//! A plain number in memory that processes share, which only a lock keeps right.

use std::path::Path;
use std::ptr::NonNull;

use crate::shared_memory;

/// The number, in a file beside the lock.
pub(crate) struct Tally {
    number: NonNull<u64>,
}

impl Tally {
    pub(crate) fn beside(lock: &Path) -> Self {
        let number = shared_memory::map(&lock.with_extension("tally"), size_of::<u64>());
        Self { number }
    }

    /// Adds one in two steps, between which another's would be lost.
    #[allow(unsafe_code, reason = "shared memory")]
    pub(crate) fn add(&self) {
        // SAFETY: it is mapped for good; whoever has the lock is alone, which the test is about.
        let number = unsafe { self.number.as_ptr().read_volatile() };
        std::hint::spin_loop();
        // SAFETY: as above.
        unsafe { self.number.as_ptr().write_volatile(number + 1) };
    }

    #[allow(unsafe_code, reason = "shared memory")]
    pub(crate) fn count(&self) -> u64 {
        // SAFETY: it is mapped for good.
        unsafe { self.number.as_ptr().read_volatile() }
    }
}
