//! The functions that the code of the attributes calls. They may change with any version.

use crate::sys::made_once::MadeOnce;
use crate::{Error, Result};

/// The handle that all calls of a function share.
#[derive(Debug)]
pub struct Shared<L>(MadeOnce<L>);

impl<L> Shared<L> {
    /// Returns a place without a handle.
    #[allow(clippy::new_without_default, reason = "for a static variable")]
    pub const fn new() -> Self {
        Self(MadeOnce::new())
    }

    /// Returns the handle, opened by the first call.
    ///
    /// # Errors
    ///
    /// As `open`; the next call tries again.
    pub fn open(&'static self, open: impl FnOnce() -> Result<L>) -> Result<&'static L> {
        if let Some(lock) = self.0.get() {
            return Ok(lock);
        }
        // Of two threads that open it at the same time, both go on with the handle of one.
        let lock = open()?;
        Ok(self.0.get_or_make(|| lock))
    }
}

/// Ends a function that can't return the error.
///
/// # Panics
///
/// Always.
#[cold]
#[track_caller]
pub fn refused(function: &str, error: &Error) -> ! {
    panic!("`{function}` can't run under its lock: {error}")
}

/// The longest name that a lock can have, to check one while the program is compiled.
pub const MAX_NAME: usize = crate::file::named::MAX_NAME;
