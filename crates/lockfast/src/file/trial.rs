//! Does the file system keep what it grants?

use std::fs::File;

use crate::protocol::layout;
use crate::sys::Access;
use crate::sys::{self, Target};

/// Where a file system is a process: does it grant a lock that another open file has?
///
/// One that passes locks on to another file system as its own has them all: no two of them conflict. A
/// byte of no meaning is locked for an instant to find out. What can't be tried is believed; the first
/// acquire tells of errors.
pub(super) fn grants_what_is_held(file: &File) -> bool {
    let Some(other) = sys::file::opened_again(file) else {
        return false;
    };
    let byte = Target::Bytes(layout::TRIAL);
    // Shared, as others may try at the same time.
    let held = matches!(sys::lock::try_lock(file, Access::Shared, byte), Ok(true));
    let granted = held
        && matches!(
            sys::lock::try_lock(&other, Access::Exclusive, byte),
            Ok(true)
        );
    if held {
        // Otherwise it is given back with what is released next.
        let _ = sys::lock::release(file, byte);
    }
    granted
}
