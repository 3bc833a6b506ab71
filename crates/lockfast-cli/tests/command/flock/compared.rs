//! Comparison with the system's flock(1): the same scripts must have the same results.

mod scripts;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use self::scripts::SCRIPTS;
use crate::lockless;
use crate::stage::{Outcome, Stage, outcome};

/// The texts of errors are those of the C library, and so is what it does with a program that is none.
const ANOTHER_C_LIBRARY: bool = cfg!(target_env = "musl");

#[test]
fn behaves_like_flock() {
    if ANOTHER_C_LIBRARY {
        lockfast_testing::skip!("this system's flock(1) has another C library");
    }
    let mut differences = Vec::new();
    for script in SCRIPTS {
        let (theirs, ours) = (performed(script, false), performed(script, true));
        if theirs != ours {
            differences.push(format!("{script}\n  flock: {theirs}\n  ours:  {ours}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Errors of the kernel that network file systems and unusual ones return.
#[test]
fn refusals_end_as_they_do_with_flock() {
    if ANOTHER_C_LIBRARY {
        lockfast_testing::skip!("this system's flock(1) has another C library");
    }
    let errors = [
        libc::ENOLCK,
        libc::ENOMEM,
        libc::ENOSYS,
        libc::EOPNOTSUPP,
        libc::EINVAL,
        libc::EIO,
        libc::EBADF,
    ];
    for errno in errors {
        for options in ["", "-s", "-n --verbose", "-w 1 --verbose", "-E 9", "-u"] {
            let script = format!("flock {options} f echo in");
            let (theirs, ours) = (
                refused(errno, &script, false),
                refused(errno, &script, true),
            );
            assert_eq!(ours, theirs, "{script} {errno}");
        }
    }
    // Newer versions count this as a conflict, as SMB clients mean it; the versions of today's
    // systems do not.
    let conflict = refused(libc::EACCES, "flock -E 9 f echo in", true);
    assert_eq!(conflict, "Some(9) [] \"\"");
}

/// Returns the result of the script if the kernel answers every attempt with that error.
fn refused(errno: i32, script: &str, ours: bool) -> String {
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let session = lockless::mount(&directory, errno).expect("a file system");
    let performed = performed_in(&stage, &directory, script, ours);
    drop(session);
    performed
}

/// Returns the result of the script with the system's flock(1), or with ours.
fn performed(script: &str, ours: bool) -> String {
    let stage = Stage::new();
    fs::write(stage.path("f"), "").expect("a file");
    fs::create_dir(stage.path("d")).expect("a directory");
    performed_in(&stage, &stage.path(""), script, ours)
}

fn performed_in(stage: &Stage, directory: &Path, script: &str, ours: bool) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(directory);
    command.env("SHELL", "/bin/sh").env("LC_ALL", "C");
    // Set in both cases, because it affects how the standard library starts a process, and so which
    // signals the process finds ignored.
    command.env("PATH", path(stage, ours));
    let Outcome {
        code,
        mut output,
        errors,
    } = outcome(&mut command);
    // flock(1) buffers its lines until it ends, unless a terminal reads them. Times differ.
    for line in &mut output {
        if line.contains("getting lock took") {
            *line = line.replace(|digit: char| digit.is_ascii_digit(), "0");
        }
    }
    output.sort_unstable();
    format!("{code:?} {output:?} {errors:?}")
}

/// Returns the search path, with ours as `flock` if requested.
fn path(stage: &Stage, ours: bool) -> OsString {
    let usual = std::env::var_os("PATH").expect("a path of programs");
    if !ours {
        return usual;
    }
    let directory = stage.path(".bin");
    fs::create_dir(&directory).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_lockfast"), directory.join("flock")).expect("a link");
    let mut path = directory.into_os_string();
    path.push(":");
    path.push(usual);
    path
}
