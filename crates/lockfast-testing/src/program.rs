//! Programs that tests make and run.

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

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) {}
