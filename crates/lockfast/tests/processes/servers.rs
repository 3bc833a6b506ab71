//! Locks on file systems that are programs or servers, and that answer as some of those do.

use std::path::Path;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use crate::inputs::{can_mount_programs, in_namespace};
use crate::semaphore;
use crate::stage::{Actor, Stage};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test: fn()| trial_needing!(name, can_mount_programs(), test);
    vec![
        trial(
            "servers::locks_that_nobody_can_wait_for_are_asked_for_again",
            locks_that_nobody_can_wait_for_are_asked_for_again,
        ),
        trial(
            "servers::a_file_that_another_client_has_replaced_is_opened_again",
            a_file_that_another_client_has_replaced_is_opened_again,
        ),
    ]
}

fn mounted(stage: &Stage, waits: i32) -> Actor {
    let mut actor = in_namespace("exec \"$0\" actor", stage.directory());
    actor.ask(&format!(
        "mount-server {} {waits}",
        stage.directory().display()
    ));
    actor
}

fn open(actor: &mut Actor, name: &str, path: &Path, options: &str) {
    actor.ask(format!("open {name} {} {options}", path.display()).trim_end());
}

fn locks_that_nobody_can_wait_for_are_asked_for_again() {
    for errno in [libc::ENOTSUP, libc::ENOSYS, libc::EINVAL, libc::ENOLCK] {
        for options in ["", "protocol=flock", "protocol=both", "interval=1 on-wait"] {
            let stage = Stage::new();
            let mut actor = mounted(&stage, errno);
            open(&mut actor, "a", &stage.lock(), options);
            open(&mut actor, "b", &stage.lock(), options);
            actor.ask("lock a g");
            let told = actor.ask_in_vain("try b h");
            assert!(told.starts_with("contended:"), "{told}");
            let told = actor.ask_in_vain("for b h 20");
            assert!(told.starts_with("timed-out:"), "{errno} {options}: {told}");
            for command in ["lock b h", "for b h 3600000"] {
                let waiting = actor.begin(command);
                actor.ask("release g");
                actor.succeeds(waiting);
                let waiting = actor.begin("lock a g");
                actor.ask("release h");
                actor.succeeds(waiting);
            }
            actor.ask("unmount-server");
        }
    }

    let stage = Stage::new();
    let mut actor = mounted(&stage, libc::ENOTSUP);
    for name in ["a", "b"] {
        actor.ask(&format!("rw open {name} {}", stage.lock().display()));
    }
    actor.ask("rw read a r");
    let waiting = actor.begin("rw write b w");
    actor.ask("rw release r");
    actor.succeeds(waiting);
    let waiting = actor.begin("rw read a r");
    actor.ask("rw release w");
    actor.succeeds(waiting);
    actor.ask("unmount-server");
}

fn a_file_that_another_client_has_replaced_is_opened_again() {
    for options in ["", "protocol=flock", "verify=path", "verify=off"] {
        let stage = Stage::new();
        let mut actor = mounted(&stage, 0);
        open(&mut actor, "a", &stage.lock(), options);
        open(&mut actor, "b", &stage.lock(), options);
        for take in ["lock a g", "try a g", "for a g 3600000"] {
            actor.ask(take);
            actor.ask("release g");
            actor.ask("server-replaces-file");
            actor.ask(take);
            let told = actor.ask_in_vain("try b h");
            assert!(told.starts_with("contended:"), "{told}");
            // And while it is held: the one who comes next has the new file.
            actor.ask("server-replaces-file");
            actor.ask("try b h");
            assert_eq!(actor.ask("current g"), "false");
            assert_eq!(actor.ask("current h"), "true");
            let _ = actor.attempts("release g");
            actor.ask("release h");
        }
        actor.ask("unmount-server");
    }

    let stage = Stage::new();
    let mut actor = mounted(&stage, 0);
    actor.ask(&semaphore::open(&stage, 1, ""));
    actor.ask("sem acquire a g");
    let told = actor.ask_in_vain("sem try a h");
    assert!(told.starts_with("contended:"), "{told}");
    actor.ask("server-replaces-file");
    actor.ask("sem acquire a h");
    let told = actor.ask_in_vain("sem try a i");
    assert!(told.starts_with("contended:"), "{told}");
    actor.ask("unmount-server");
}
