//! The guards of the library, as the objects of Python use them.

use std::fs::File;

use lockfast::{Owner, Result};

/// A guard of the library.
pub(crate) trait LibraryGuard: Send {
    /// The noun in a warning, before the path.
    const NOUN: &'static str = "guard of lock";

    fn release(self) -> Result<()>;

    /// Whether the locked file is the one at the path; `None` if nothing is held.
    fn is_current(&self) -> Option<Result<bool>>;

    /// Applies the function to the locked file, if the guard shows it.
    fn with_file<R>(&self, _function: impl FnOnce(&File) -> R) -> Option<R> {
        None
    }

    fn hand_over(&mut self) {}

    /// The number of permits.
    fn count(&self) -> u32 {
        1
    }

    fn token(&self) -> Option<u64> {
        None
    }

    fn abandoned(&self) -> Option<Owner> {
        None
    }
}

macro_rules! library_guard {
    ($guard:ident $(, $record:ident)?) => {
        impl LibraryGuard for lockfast::$guard {
            fn release(self) -> Result<()> {
                self.release()
            }

            fn is_current(&self) -> Option<Result<bool>> {
                Some(self.is_current())
            }

            fn with_file<R>(&self, function: impl FnOnce(&File) -> R) -> Option<R> {
                Some(function(self.file()))
            }

            fn hand_over(&mut self) {
                self.hand_over();
            }

            $(library_guard!(@$record);)?
        }
    };
    (@record) => {
        fn token(&self) -> Option<u64> {
            self.token()
        }

        fn abandoned(&self) -> Option<Owner> {
            self.abandoned().cloned()
        }
    };
}

library_guard!(LockGuard, record);
library_guard!(RwLockReadGuard);
library_guard!(RwLockUpgradableReadGuard);
library_guard!(RwLockWriteGuard, record);

impl LibraryGuard for lockfast::SemaphorePermit {
    const NOUN: &'static str = "permit of";

    fn release(self) -> Result<()> {
        self.release()
    }

    fn is_current(&self) -> Option<Result<bool>> {
        Some(self.is_current())
    }

    fn count(&self) -> u32 {
        self.count()
    }
}
