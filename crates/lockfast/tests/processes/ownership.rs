//! Lock files of other users, where users can't remove each other's files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use crate::stage::{Actor, Stage};

pub(crate) fn trials() -> Vec<Trial> {
    let as_users = |name, test: fn()| trial_needing!(name, is_root(), test);
    vec![
        as_users("ownership::a_planted_file_is_refused", planted),
        as_users("ownership::it_is_accepted_when_asked_for", accepted),
        as_users("ownership::own_files_and_the_directorys", trusted),
        as_users("ownership::other_directories", other_directories),
        as_users("ownership::a_link_to_a_planted_file", link_to_planted),
        as_users("ownership::a_file_that_is_planted_later", planted_later),
    ]
}

const ALICE: u32 = 65_533;
const BOB: u32 = 65_534;

fn is_root() -> Result<(), String> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err("only root can be several users".into())
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// A directory like `/tmp`.
fn public() -> Stage {
    let stage = Stage::new();
    set_mode(stage.directory(), 0o1777);
    stage
}

/// A file that everybody may write, of that user.
fn plant(stage: &Stage, owner: u32) {
    fs::write(stage.lock(), "").expect("written");
    set_mode(&stage.lock(), 0o666);
    chown(stage.lock(), Some(owner), None).expect("given away");
}

fn user(number: u32) -> Actor {
    let mut actor = Actor::start();
    if number != 0 {
        actor.ask(&format!("become {number}"));
    }
    actor
}

/// The commands that open each primitive there.
fn opens(stage: &Stage, options: &str) -> [String; 3] {
    let path = stage.lock();
    ["open a", "rw open b", "sem open c"].map(|open| {
        let permits = if open.starts_with("sem") { " 2" } else { "" };
        let open = format!("{open} {}{permits} {options}", path.display());
        open.trim_end().to_owned()
    })
}

#[track_caller]
fn is_refused(told: &str, owner: u32) {
    assert!(told.starts_with("permission-denied:"), "{told}");
    assert!(told.contains(&format!("user {owner}")), "{told}");
    assert!(told.contains("any_owner"), "{told}");
}

fn planted() {
    for (owner, victim, mode) in [
        (ALICE, BOB, 0o1777),
        (ALICE, 0, 0o1777),
        (ALICE, BOB, 0o1775),
    ] {
        let stage = public();
        set_mode(stage.directory(), mode);
        plant(&stage, owner);
        let mut victim = user(victim);
        for open in opens(&stage, "") {
            is_refused(&victim.ask_in_vain(&open), owner);
        }
    }
}

fn accepted() {
    let stage = public();
    let mut alice = user(ALICE);
    alice.ask(&opens(&stage, "mode=666")[0]);
    alice.ask("lock a g");
    let mut bob = user(BOB);
    for open in opens(&stage, "any-owner") {
        bob.ask(&open);
    }
    let told = bob.ask_in_vain("try a g");
    assert!(told.starts_with("contended:"), "{told}");
    alice.ask("release g");
    bob.ask("try a g");
}

fn trusted() {
    // Root's file where root has the directory: root could do everything anyway.
    let stage = public();
    plant(&stage, 0);
    for number in [0, ALICE] {
        let mut actor = user(number);
        for open in opens(&stage, "") {
            actor.ask(&open);
        }
        actor.ask("try a g");
    }
    let stage = public();
    plant(&stage, ALICE);
    user(ALICE).ask(&opens(&stage, "")[0]);
    // Alice's directory, and Alice's file in it.
    chown(stage.directory(), Some(ALICE), None).expect("given away");
    user(BOB).ask(&opens(&stage, "")[0]);
}

fn other_directories() {
    // Those whose users trust each other, or where only the owner creates files.
    for mode in [0o755, 0o775, 0o777] {
        let stage = Stage::new();
        set_mode(stage.directory(), mode);
        plant(&stage, ALICE);
        let mut bob = user(BOB);
        for open in opens(&stage, "") {
            bob.ask(&open);
        }
    }
}

fn link_to_planted() {
    let (stage, own) = (public(), Stage::new());
    plant(&stage, ALICE);
    symlink(stage.lock(), own.lock()).expect("a link");
    let mut root = user(0);
    for open in opens(&own, "follow") {
        is_refused(&root.ask_in_vain(&open), ALICE);
    }
}

fn planted_later() {
    let stage = public();
    let mut root = user(0);
    for open in opens(&stage, "") {
        root.ask(&open);
    }
    root.ask("lock a g");
    root.ask("release g");
    fs::remove_file(stage.lock()).expect("removed");
    plant(&stage, ALICE);
    for acquire in ["lock a g", "try a g", "rw read b h", "sem acquire c i"] {
        is_refused(&root.ask_in_vain(acquire), ALICE);
    }
}
