//! Floating-point numbers in the syntax of the C library.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// Parses a number in any form that the C library reads; infinity if it is too large, `None` for
/// other text.
pub(crate) fn float(text: &OsStr) -> Option<f64> {
    let text = CString::new(text.as_bytes()).ok()?;
    let mut end = ptr::null_mut();
    // SAFETY: a string that ends in NUL, and a place for where the number ends.
    let number = unsafe { libc::strtod(text.as_ptr(), &raw mut end) };
    let read = end.addr() - text.as_ptr().addr();
    (read > 0 && read == text.as_bytes().len()).then_some(number)
}
