//! The trial of a file system that is a process: whether it keeps what it grants.

use std::fs::File;

use crate::protocol::layout;
use crate::sys::{self, Access, Target};

/// Whether the file system grants a lock that another open file has.
///
/// A file system that passes locks on to another one as its own has them all: no two of them conflict. A
/// byte of no meaning is locked for an instant to find out. What can't be tried is believed; the first
/// acquire reports errors.
pub(super) fn grants_what_is_held(file: &File) -> bool {
    let Some(other) = sys::file::opened_again(file) else {
        return false;
    };
    let byte = Target::Bytes(layout::TRIAL);
    // Shared, as others may try at the same time.
    let held = matches!(sys::lock::try_lock(file, Access::Shared, byte), Ok(true));
    let exclusive = || sys::lock::try_lock(&other, Access::Exclusive, byte);
    // The second description is another owner, so it must be refused.
    let granted = held && matches!(exclusive(), Ok(true));
    if held {
        // Otherwise it is released with the next lock.
        let _ = sys::lock::release(file, byte);
    }
    granted
}
