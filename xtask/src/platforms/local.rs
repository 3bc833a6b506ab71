//! File systems of this machine, each made for the occasion and mounted where nobody else sees it.

mod mounts;
mod table;

use std::path::Path;
use std::process::Command;

use self::mounts::{FileSystem, Mounted};
use self::table::{Row, Table};
use crate::debian;
use crate::step::{self, Failure, Outcome, cargo};

/// Set for the process that is in a mount namespace of its own.
const INSIDE: &str = "LOCKFAST_XTASK_INSIDE";

const PROGRAMS: [(&str, &str); 8] = [
    ("unshare", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("bindfs", "bindfs"),
    ("sshfs", "sshfs"),
    ("fusermount3", "fuse3"),
    ("/usr/lib/openssh/sftp-server", "openssh-sftp-server"),
];

/// Tests of several processes whose outcome no file system changes, or that take long.
const NOT_ABOUT_FILES: [&str; 19] = [
    "cancelling::",
    "chaos::",
    "crash::killed_at_each_system_call",
    "deadlock::",
    "descriptors::",
    "fork::",
    "identity::removing_under_contention",
    "hammer",
    "inputs::",
    "interop::",
    "kernel::",
    "leases::",
    "many::",
    "owner::",
    "race::",
    "remote::",
    "servers::",
    "tasks::",
    "threads::",
];

pub(super) fn run() -> Outcome {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    debian::require(&PROGRAMS)?;
    // Built outside: inside, nobody would see what was written on other file systems.
    step::run(&mut cargo(&["build", "--package", "lockfast-cli"]))?;
    step::run(tests().arg("--no-run"))?;
    let own = std::env::current_exe()
        .map_err(|error| Failure(format!("cannot find this program: {error}")))?;
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(own);
    step::run(again.args(["platforms", "local"]).env(INSIDE, "yes"))
}

fn inside() -> Outcome {
    let mut table = Table::default();
    for system in &mounts::ALL {
        println!("\n{}", system.name);
        let mounted = Mounted::mount(system)?;
        let mut row = Row::by_doctor(system.name, mounted.directory())?;
        if let Some(left_out) = system.not_tested {
            let mut tests = on(tests(), mounted.directory());
            for (name, reason) in left_out {
                println!("{name} is left out: {reason}");
                tests.args(["--skip", name]);
            }
            // What fails on one says nothing of the next.
            row.add_tests(step::run(&mut tests).is_ok());
        }
        table.add(row);
    }
    table.show();
    table.conclude(&mounts::ALL)
}

/// The tests of several processes.
fn tests() -> Command {
    cargo(&[
        "test",
        "--quiet",
        "--package",
        "lockfast",
        "--test",
        "processes",
    ])
}

fn on(mut tests: Command, directory: &Path) -> Command {
    tests.env("TMPDIR", directory).arg("--");
    for name in NOT_ABOUT_FILES {
        tests.args(["--skip", name]);
    }
    tests
}

/// Is it as expected of that file system?
fn is_expected(system: &FileSystem, promise: &str, verdict: &str) -> bool {
    let exception = system.exceptions.iter().find(|(name, _)| *name == promise);
    verdict == exception.map_or("kept", |&(_, verdict)| verdict)
}
