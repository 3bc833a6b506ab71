//! The signals of a thread.

use std::mem::MaybeUninit;
use std::ptr;

/// A signal ends the sleep of the thread that handles it.
pub(crate) const SIGNALS_INTERRUPT: bool = true;

/// Runs a function with all signals masked. A thread that it starts handles none of the program's signals.
pub(crate) fn without_signals<R>(run: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the first set was written; the call writes the second. It fails only for a wrong
    // first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // A new thread inherits the mask of the one that starts it.
    let result = run();
    // SAFETY: the set was written by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}
