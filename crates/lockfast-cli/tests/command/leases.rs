//! `lockfast run` on a lock file on which another program has a lease (`F_SETLEASE`).

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::libc;

use crate::stage::{Actor, Stage, outcome, run, script};

/// A lease that ends when the file is closed. Other processes that open the file have to wait.
#[allow(unsafe_code, reason = "signal, and fcntl")]
#[allow(clippy::disallowed_methods, reason = "not a lock call")]
fn lease(path: &Path) -> File {
    // The kernel requests the lease with a signal, which would end the tests.
    // SAFETY: to ignore a signal runs nothing.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).expect("a file");
    // SAFETY: takes numbers.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn limits_hold_though_another_program_has_a_lease() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for more in [&[][..], &["--shared"], &["--permits", "2"]] {
        for limit in [&["-n"][..], &["-w", "0.05"]] {
            let lease = lease(&lock);
            let mut command = run(limit.iter().chain(more));
            let ended = outcome(command.arg(&lock).args(["--", "true"]));
            assert_eq!(ended.code, Some(75), "{limit:?} {more:?}");
            assert!(ended.errors.contains("has a lease"), "{}", ended.errors);
            drop(lease);
        }
    }
}

#[test]
fn a_command_runs_once_the_lease_is_given_up() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let lease = lease(&lock);
    let mut waits = Actor::start(&mut script(&lock, "echo ran"));
    let told = waits.complaint();
    assert!(told.contains("waiting"), "{told}");
    drop(lease);
    waits.says("ran");
    assert_eq!(waits.end().code(), Some(0));
}

#[test]
fn a_signal_ends_the_wait_for_a_lease() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let lease = lease(&lock);
    let mut waits = Actor::start(&mut script(&lock, "echo ran"));
    waits.complaint();
    waits.signal(nix::sys::signal::Signal::SIGINT);
    assert!(!waits.end().success());
    drop(lease);
}
