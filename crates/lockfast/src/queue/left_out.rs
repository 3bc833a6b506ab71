//! Steps that a model leaves out, to show that it would notice.

/// A step that the queue needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelStep {
    /// The last one out calls off the one that was called and has not come.
    CallOff,
    /// A reader that fails to join lets go of the lock that the last one out left to it.
    LetGo,
    /// Joining ends once a reader had to step back.
    Close,
    /// The thread of an upgradable guard is not let in beside the guard's upgrade.
    RefuseDuringUpgrade,
    /// An upgradable reader that leaves others behind gives up what they lack.
    Stay,
    /// A wait that is dropped passes the turn on.
    PassOn,
}

/// Whether this step is left out now; never outside of tests.
#[cfg(not(all(test, not(lockfast_model))))]
#[inline]
pub(super) const fn is_left_out(_step: ModelStep) -> bool {
    false
}

#[cfg(all(test, not(lockfast_model)))]
pub(super) use by_a_test::{is_left_out, without};

#[cfg(all(test, not(lockfast_model)))]
mod by_a_test {
    use std::cell::Cell;

    use super::ModelStep;

    thread_local! {
        static LEFT_OUT: Cell<Option<ModelStep>> = const { Cell::new(None) };
    }

    pub(in crate::queue) fn is_left_out(step: ModelStep) -> bool {
        LEFT_OUT.get() == Some(step)
    }

    /// Runs a closure whose queues leave the step out.
    pub(in crate::queue) fn without<R>(step: Option<ModelStep>, run: impl FnOnce() -> R) -> R {
        let before = LEFT_OUT.replace(step);
        let result = run();
        LEFT_OUT.set(before);
        result
    }
}
