//! There are no signals.

/// No signal ends a thread's sleep.
pub(crate) const SIGNALS_INTERRUPT: bool = false;

/// Runs the function.
pub(crate) fn without_signals<R>(run: impl FnOnce() -> R) -> R {
    run()
}
