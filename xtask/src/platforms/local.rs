//! File systems of this machine, each created for the test and mounted in a mount namespace of its own.

mod mounts;
mod table;

use std::path::Path;
use std::process::Command;

use self::mounts::{FileSystem, Mounted};
use self::table::{Row, Table};
use crate::debian;
use crate::programs::{self, Program};
use crate::python;
use crate::step::{self, Failure, Outcome};
use crate::test::THREADS;

/// Set for the process in that namespace: to [`CI`] or to something else.
const INSIDE: &str = "LOCKFAST_XTASK_INSIDE";
const CI: &str = "ci";

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

/// Tests of several processes that give the same result on every file system, or that take long.
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

/// Mixtures whose locks the kernel keeps alike for every file system, and whose files stay where they are.
/// CI runs them on one file system, as part of `cargo xtask test`.
const ALIKE: [&str; 7] = [
    "mixture::a_lock_is_taken",
    "mixture::a_lock_of_other_protocols",
    "mixture::a_reentrant_lock",
    "mixture::readers_and_writers_come",
    "mixture::permits",
    "mixture::waiters_in_a_strict_order",
    "mixture::locks_and_readers_writers_locks",
];

pub(super) fn run(in_ci: bool) -> Outcome {
    if let Some(inside) = std::env::var_os(INSIDE) {
        return run_inside(inside == CI);
    }
    debian::require(&PROGRAMS)?;
    // Before the build, which may replace the file: then the path of this program is not known any more.
    let own = std::env::current_exe()
        .map_err(|error| Failure(format!("cannot find this program: {error}")))?;
    // Built outside, because files written inside to other file systems would be lost.
    step::run(&mut programs::build())?;
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(own);
    let inside = if in_ci { CI } else { "all" };
    step::run(again.args(["platforms", "local"]).env(INSIDE, inside))
}

fn run_inside(in_ci: bool) -> Outcome {
    let program = programs::one("processes")?;
    let mut table = Table::default();
    for system in &mounts::ALL {
        println!("\n{}", system.name);
        let mounted = Mounted::mount(system)?;
        let mut row = Row::by_doctor(system.name, mounted.directory())?;
        if let Some(left_out) = system.not_tested {
            let mut tests = tests(&program, mounted.directory(), in_ci);
            for (name, reason) in left_out {
                println!("{name} is left out: {reason}");
                tests.args(["--skip", name]);
            }
            // A failure on one file system says nothing about the next.
            let passed = step::run_in(program.directory(), &mut tests).is_ok();
            row.add_tests(passed);
        }
        table.add(row);
    }
    table.show();
    table.conclude(&mounts::ALL)
}

/// The tests of several processes, in that directory.
fn tests(program: &Program, directory: &Path, in_ci: bool) -> Command {
    let mut tests = program.command();
    tests.env("TMPDIR", directory).args(["--quiet", THREADS]);
    python::name_interpreter(&mut tests);
    let alike: &[&str] = if in_ci { &ALIKE } else { &[] };
    for name in NOT_ABOUT_FILES.iter().chain(alike) {
        tests.args(["--skip", name]);
    }
    tests
}

/// Whether that verdict is the expected one for the file system.
fn is_expected(system: &FileSystem, promise: &str, verdict: &str) -> bool {
    let exception = system.exceptions.iter().find(|(name, _)| *name == promise);
    verdict == exception.map_or("kept", |&(_, verdict)| verdict)
}
