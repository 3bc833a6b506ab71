//! Reports to subscribers of `tracing`; without the feature nothing, at no cost.
//!
//! Waits are reported as they begin and end, at the level of debugging, within a span that lasts as long
//! as the wait. Each acquire and release is reported at the level of tracing.

use std::path::Path;
use std::time::Duration;

use crate::types::error::{Cause, Operation};
use crate::types::holder::Holder;

/// Whether there are reports.
pub(crate) const IS_ON: bool = cfg!(feature = "tracing");

#[cfg(feature = "tracing")]
pub(crate) use enabled::{Span, acquired, gave_up, granted, released, waiting};

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::{Span, acquired, gave_up, granted, released, waiting};

#[cfg(feature = "tracing")]
mod enabled {
    use super::{Cause, Duration, Holder, Operation, Path};

    /// Lasts as long as a wait.
    #[derive(Debug)]
    pub(crate) struct Span(tracing::Span);

    /// A wait begins.
    pub(crate) fn waiting(
        path: &Path,
        operation: Operation,
        holder: impl FnOnce() -> Option<Holder>,
    ) -> Span {
        let path = path.display();
        let span = tracing::debug_span!("wait", %path, ?operation);
        if !span.is_disabled() {
            let holder = holder().map(tracing::field::display);
            tracing::debug!(parent: &span, %path, ?operation, holder, "waiting");
        }
        Span(span)
    }

    /// Something was acquired.
    pub(crate) fn acquired(path: &Path, mode: &'static str) {
        tracing::trace!(path = %path.display(), mode, "acquired");
    }

    /// Something was acquired after a wait. The length of the wait is computed only if somebody listens,
    /// because the thread that was just woken is in a hurry.
    pub(crate) fn granted(
        path: &Path,
        mode: &'static str,
        Span(span): &Span,
        waited: impl Fn() -> Duration,
    ) {
        tracing::debug!(parent: span, path = %path.display(), mode, waited = ?waited(), "acquired");
    }

    /// Something was released, or another mode taken.
    pub(crate) fn released(path: &Path, mode: &'static str) {
        tracing::trace!(path = %path.display(), mode, "released");
    }

    /// It was not acquired.
    pub(crate) fn gave_up(path: &Path, operation: Operation, cause: &Cause, span: Option<&Span>) {
        let path = path.display();
        let span = span.and_then(|Span(span)| span.id());
        tracing::debug!(parent: span, %path, ?operation, ?cause, "gave up");
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use super::{Cause, Duration, Holder, Operation, Path};

    /// Nothing.
    #[derive(Debug)]
    pub(crate) struct Span;

    pub(crate) fn waiting(_: &Path, _: Operation, _: impl FnOnce() -> Option<Holder>) -> Span {
        Span
    }

    pub(crate) fn acquired(_: &Path, _: &'static str) {}

    pub(crate) fn granted(_: &Path, _: &'static str, _: &Span, _: impl Fn() -> Duration) {}

    pub(crate) fn released(_: &Path, _: &'static str) {}

    pub(crate) fn gave_up(_: &Path, _: Operation, _: &Cause, _: Option<&Span>) {}
}
