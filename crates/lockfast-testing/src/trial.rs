//! Tests of the programs that are test runner and actor in one.

use std::fmt::Display;

use libtest_mimic::{Completion, Trial};

/// A test by its name; it fails by panicking.
pub fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test by its name that is skipped when it lacks something that it needs.
#[macro_export]
macro_rules! trial_needing {
    ($name:expr, $needed:expr, $test:expr $(,)?) => {
        $crate::trial_needing(env!("CARGO_CRATE_NAME"), $name, $needed, $test)
    };
}

/// A test of that program. It is skipped for the reason that `needed` fails with.
#[doc(hidden)]
pub fn trial_needing(
    program: &'static str,
    name: &str,
    needed: Result<(), impl Display + Send + 'static>,
    test: impl FnOnce() + Send + 'static,
) -> Trial {
    let own = name.to_owned();
    match needed {
        Ok(()) => trial(name, test),
        Err(reason) => Trial::ignorable_test(name, move || {
            crate::try_skip(&format!("{program}::{own}"), &reason)?;
            Ok(Completion::ignored_with(reason.to_string()))
        }),
    }
}
