//! Programs that tests make and run.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Copies a program, so that every user may run it.
///
/// Another process writes the copy. If this one did, a child that another thread forks at that moment would have
/// the file open for writing until it executes its own program, and the copy could not be run ("Text file busy").
///
/// # Panics
///
/// Panics if it can't be copied.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let mut copy = Command::new("cp");
    let copied = copy.arg("--").args([from, to]).status();
    assert!(
        copied.expect("cp").success(),
        "{} is copied",
        from.display()
    );
    make_executable(to);
}

/// Writes a script that every user may run, by way of another process as [`copy_program`] does.
///
/// # Panics
///
/// Panics if it can't be written.
pub fn write_script(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    fs::write(&draft, text).expect("a script");
    copy_program(&draft, path);
    fs::remove_file(&draft).expect("it is there");
}

/// Returns the words of a command that starts this program again: behind the emulator that
/// `LOCKFAST_TEST_RUNNER` names with its arguments, if the program is for another processor.
///
/// # Panics
///
/// Panics if the program has no path.
pub fn own_words() -> Vec<OsString> {
    let runner = std::env::var("LOCKFAST_TEST_RUNNER").unwrap_or_default();
    let runner = runner.split_whitespace().map(OsString::from);
    let own = std::env::current_exe().expect("this program");
    runner.chain([own.into_os_string()]).collect()
}

/// Returns a command that starts this program again.
pub fn own_program() -> Command {
    let words = own_words();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Succeeds if that program can be found.
///
/// # Errors
///
/// Fails with the way to install it.
pub fn installed(program: &str) -> Result<(), String> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&directories).any(|directory| directory.join(program).is_file()) {
        Ok(())
    } else {
        Err(format!(
            "{program} is not installed; `cargo xtask setup` installs it"
        ))
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) {}
