//! How a test starts its own program again.

use std::ffi::OsString;
use std::process::Command;

/// Its words: behind the emulator that `LOCKFAST_TEST_RUNNER` names with its arguments, if the program
/// is for another processor.
pub(crate) fn own_words() -> Vec<OsString> {
    let runner = std::env::var("LOCKFAST_TEST_RUNNER").unwrap_or_default();
    let runner = runner.split_whitespace().map(OsString::from);
    let own = std::env::current_exe().expect("this program");
    runner.chain([own.into_os_string()]).collect()
}

/// The same as a command.
pub(crate) fn own_program() -> Command {
    let words = own_words();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
