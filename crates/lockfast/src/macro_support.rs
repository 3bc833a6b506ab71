//! What the code that the attributes write calls. It may change with any version.

use std::sync::OnceLock;

use crate::{Error, Result};

/// The handle that all calls of a function share, opened by the first.
///
/// # Errors
///
/// As `open`; the next call tries again.
pub fn shared<L>(
    cell: &'static OnceLock<L>,
    open: impl FnOnce() -> Result<L>,
) -> Result<&'static L> {
    if let Some(lock) = cell.get() {
        return Ok(lock);
    }
    // Of two threads that open it at the same time, both go on with the handle of one.
    let lock = open()?;
    Ok(cell.get_or_init(|| lock))
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
pub const MAX_NAME: usize = crate::named::MAX_NAME;
