//! [`Protocol::Flock`](lockfast::Protocol::Flock) and the programs that take `flock` locks.

use std::process::Command;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use super::encounter;
use super::peer::{FD_LOCK, FILELOCK, FLOCK_UTILITY, FS4, PERL, PORTALOCKER, STD};
use crate::stage::{Actor, Stage, installed, own_words};

pub(crate) fn trials() -> Vec<Trial> {
    let peers = [
        FLOCK_UTILITY,
        PERL,
        FILELOCK,
        PORTALOCKER,
        STD,
        FS4,
        FD_LOCK,
    ];
    let mut trials = encounter::trials("flock", "flock", &peers);
    trials.push(trial_needing!(
        "interop::flock::a_command_under_the_utility",
        installed("flock"),
        a_command_under_the_utility,
    ));
    trials
}

/// `flock FILE COMMAND`, which holds the lock as long as the command runs.
fn a_command_under_the_utility() {
    let stage = Stage::new();
    let mut lockfast = Actor::with_lock(&stage, "protocol=flock");
    lockfast.ask("lock a g");
    let attempt = || {
        let mut utility = Command::new("flock");
        utility.arg("-n").arg(stage.lock()).args(["echo", "ran"]);
        let output = utility.output().expect("flock(1)");
        (output.status.code(), output.stdout)
    };
    assert_eq!(attempt(), (Some(1), b"".to_vec()));
    lockfast.ask("release g");
    assert_eq!(attempt(), (Some(0), b"ran\n".to_vec()));

    let mut utility = Command::new("flock");
    utility.arg(stage.lock()).args(own_words()).arg("actor");
    let mut command = Actor::start_by(&mut utility);
    command.ask("count fd");
    assert!(lockfast.ask_in_vain("try a g").starts_with("contended:"));
    let waiting = lockfast.begin_waiting("lock a g", &stage);
    drop(command);
    lockfast.succeeds(waiting);
}
