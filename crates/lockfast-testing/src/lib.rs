//! Parts that the tests of several crates share.
//!
//! A test that can't run where it is calls [`skip!`], or is made by [`trial_needing!`]. It is then
//! counted as skipped, with the reason: the harness of the standard library can't ignore a test that has
//! begun, so each skip is also a line of the file that [`LOG`] names, and `cargo xtask test` prints and
//! counts these lines at its end.
//!
//! Where the variable `CI` is set, everything that the tests need is installed. There a test that can't
//! run fails, unless `skipped-in-ci.txt` names it. The tests in Python follow the same rules and the same
//! list (`tests/skips.py` of that package).

mod actor;
mod deadline;
#[cfg(all(unix, feature = "fuse"))]
pub mod fuse;
mod lines;
mod list;
mod program;
mod serve;
mod stage;
pub mod table;
mod trial;

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use actor::{Actor, Pending};
pub use deadline::{DEADLINE, until};
pub use lines::Lines;
pub use program::{copy_program, installed, own_program, own_words, write_script};
pub use serve::{Answer, Speaker, serve};
pub use stage::Stage;
pub use trial::{trial, trial_needing};

/// Ends the calling test as skipped. The arguments are a format string, and give the reason.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        fn here() {}
        $crate::skipped($crate::test_around(here), format!($($reason)*));
        return;
    }};
}

/// Names the file that gets a line for each skipped test: its name, a tab, and the reason.
pub const LOG: &str = "LOCKFAST_TEST_SKIPPED";

/// Prints and logs that the test is skipped.
///
/// # Panics
///
/// In CI, unless the list of the tests that CI can't run names the test.
#[track_caller]
pub fn skipped(test: &str, reason: impl Display) {
    if let Err(failure) = try_skip(test, reason) {
        panic!("{failure}");
    }
}

/// Prints and logs that the test is skipped.
///
/// # Errors
///
/// In CI, unless the list of the tests that CI can't run names the test.
pub fn try_skip(test: &str, reason: impl Display) -> Result<(), String> {
    let log = std::env::var_os(LOG).map(PathBuf::from);
    try_skip_into(log.as_deref(), test, reason)
}

/// Like [`try_skip`], with a log that no variable names.
///
/// # Errors
///
/// In CI, unless the list of the tests that CI can't run names the test.
pub fn try_skip_into(log: Option<&Path>, test: &str, reason: impl Display) -> Result<(), String> {
    if list::is_ci() && !list::has(test) {
        return Err(format!(
            "{test} can't run here, which is a failure in CI: {reason}. \
             Install what it needs, or name it in crates/lockfast-testing/skipped-in-ci.txt."
        ));
    }
    let reason = reason.to_string();
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    // The harness shows what `eprintln!` prints only for a test that fails.
    let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
    let Some(log) = log else { return Ok(()) };
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .and_then(|mut log| log.write_all(format!("{test}\t{reason}\n").as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", log.display()))
}

/// Returns the name of the function that has `marker` in it, with its crate and modules.
#[doc(hidden)]
pub fn test_around<T>(_marker: T) -> &'static str {
    let name = std::any::type_name::<T>();
    name.strip_suffix("::here").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "the test that the next one runs"]
    fn skips() {
        skip!("it needs\na {}", "moon");
    }

    #[test]
    fn a_skip_is_logged_and_a_failure_in_ci() {
        let log = std::env::temp_dir().join(format!("lockfast-skipped-{}", std::process::id()));
        let skips = |ci: &str| {
            let own = std::env::current_exe().expect("this program");
            Command::new(own)
                .args(["--ignored", "--exact", "tests::skips"])
                .env("CI", ci)
                .env(LOG, &log)
                .output()
                .expect("it runs")
        };
        let line = "lockfast_testing::tests::skips";
        let skipped = skips("");
        assert!(skipped.status.success(), "{skipped:?}");
        let errors = String::from_utf8_lossy(&skipped.stderr);
        let shown = format!("skipped: {line}: it needs a moon\n");
        assert!(errors.contains(&shown), "{errors}");
        let logged = std::fs::read_to_string(&log).expect("the log");
        assert_eq!(logged, format!("{line}\tit needs a moon\n"));

        let failed = skips("true");
        assert!(!failed.status.success(), "{failed:?}");
        let text = String::from_utf8_lossy(&failed.stdout);
        assert!(text.contains("a failure in CI: it needs\na moon"), "{text}");
        assert_eq!(std::fs::read_to_string(&log).expect("the log"), logged);
        std::fs::remove_file(log).expect("removed");
    }
}
