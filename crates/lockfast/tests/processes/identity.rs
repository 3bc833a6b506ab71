//! Promise 7: whatever is done to the file, two never both hold the lock at the path.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::exclusion::hammer_by_eight;
use crate::stage::{Actor, Stage, until};
use crate::trials;
use crate::witness::Witness;

trials![
    a_file_deleted_while_open_is_created_anew,
    a_file_replaced_while_open_is_noticed,
    a_file_changed_while_waiting_is_noticed,
    a_file_deleted_while_held_says_so,
    a_held_stale_file_does_not_stand_in_the_way,
    a_rename_is_noticed_at_once_when_asked,
    a_rename_is_noticed_soon_after_the_file_changed_and_later,
    a_changed_content_changes_nothing,
    a_moved_directory_is_noticed_when_asked,
    another_name_of_the_file_changes_nothing,
    a_change_of_the_working_directory_changes_nothing,
    removing_under_contention_lets_nobody_in_twice,
    removing_and_keeping_go_together,
    removing_spares_the_replacement_of_the_file,
];

fn refused(stage: &Stage) -> String {
    let refused = Actor::with_lock(stage, "").ask_in_vain("try a g");
    assert!(refused.starts_with("contended:"), "{refused}");
    refused
}

fn replace(path: &Path) {
    let other = path.with_extension("other");
    fs::write(&other, "").expect("a file");
    fs::rename(other, path).expect("replaced");
}

fn a_file_deleted_while_open_is_created_anew() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    for _ in 0..2 {
        fs::remove_file(stage.lock()).expect("deleted");
        actor.ask("lock a g");
        assert!(refused(&stage).contains(&actor.pid().to_string()));
        actor.ask("release g");
    }
}

fn a_file_replaced_while_open_is_noticed() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    for _ in 0..2 {
        replace(&stage.lock());
        actor.ask("try a g");
        assert!(refused(&stage).contains(&actor.pid().to_string()));
        actor.ask("release g");
    }
}

fn a_file_changed_while_waiting_is_noticed() {
    type Change = fn(&Path);
    let changes: [(Change, bool); 3] = [
        (|path| fs::remove_file(path).expect("deleted"), true),
        (replace, true),
        // Noticed by those who waited; without a wait only when asked (see below).
        (
            |path| fs::rename(path, path.with_extension("elsewhere")).expect("renamed"),
            false,
        ),
    ];
    for (change, noticed_without_a_wait) in changes {
        for command in ["lock a g", "for a g 3600000"] {
            let stage = Stage::new();
            let mut holder = Actor::with_lock(&stage, "");
            let mut waiter = Actor::with_lock(&stage, "");
            // Confirmed before, so that only the wait is the reason to look.
            waiter.ask("lock a g");
            waiter.ask("release g");
            holder.ask("lock a g");
            let waiting = waiter.begin_waiting(command, &stage);
            change(&stage.lock());
            holder.ask("release g");
            waiter.succeeds(waiting);
            assert!(refused(&stage).contains(&waiter.pid().to_string()));
            if noticed_without_a_wait {
                assert!(holder.ask_in_vain("try a g").starts_with("contended:"));
            }
        }
    }
}

fn a_file_deleted_while_held_says_so() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut other = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    assert_eq!(holder.ask("current g"), "true");
    fs::remove_file(stage.lock()).expect("deleted");
    assert_eq!(holder.ask("current g"), "false");
    // The lock at the path is another one now, and one process holds it.
    other.ask("lock a g");
    assert!(refused(&stage).contains(&other.pid().to_string()));
    holder.ask("release g");
    let waiting = holder.begin_waiting("lock a g", &stage);
    assert!(!holder.has_answered(waiting));
    other.ask("release g");
    holder.succeeds(waiting);
    assert_eq!(holder.ask("current g"), "true");
}

fn a_held_stale_file_does_not_stand_in_the_way() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut other = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    fs::rename(stage.lock(), stage.path("elsewhere")).expect("renamed");
    other.ask("try a g");
    assert!(refused(&stage).contains(&other.pid().to_string()));
}

fn a_rename_is_noticed_at_once_when_asked() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "verify=path");
    for number in 0..2 {
        actor.ask("lock a g");
        actor.ask("release g");
        let elsewhere = stage.path(format!("elsewhere{number}"));
        fs::rename(stage.lock(), elsewhere).expect("renamed");
        actor.ask("lock a g");
        assert!(refused(&stage).contains(&actor.pid().to_string()));
        actor.ask("release g");
    }
}

fn a_rename_is_noticed_soon_after_the_file_changed_and_later() {
    for settled in [false, true] {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, "");
        if settled {
            until_settled(&stage.lock());
        }
        actor.ask("lock a g");
        actor.ask("release g");
        fs::rename(stage.lock(), stage.path("elsewhere")).expect("renamed");
        actor.ask("lock a g");
        assert_eq!(actor.ask("current g"), "true", "{settled}");
        assert!(refused(&stage).contains(&actor.pid().to_string()));
    }
}

fn a_changed_content_changes_nothing() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    until_settled(&stage.lock());
    for content in ["one", "another"] {
        actor.ask("lock a g");
        assert_eq!(actor.ask("current g"), "true");
        actor.ask("release g");
        fs::write(stage.lock(), content).expect("written");
    }
}

fn a_moved_directory_is_noticed_when_asked() {
    // Without that it is not, as PLATFORM.md states; when this fails, the documents are out of date.
    for (options, noticed) in [("verify=path", true), ("", false)] {
        let stage = Stage::new();
        let directory = stage.path("directory");
        let lock = directory.join("b.lock");
        let open = format!("open b {} {options}", lock.display());
        let (mut one, mut other) = (Actor::start(), Actor::start());
        one.ask(open.trim_end());
        until_settled(&lock);
        one.ask("lock b g");
        one.ask("release g");
        fs::rename(&directory, stage.path("moved")).expect("moved");
        one.ask("lock b g");
        other.ask(open.trim_end());
        let attempt = other.begin("try b g");
        if noticed {
            assert!(other.fails(attempt).starts_with("contended:"));
        } else {
            other.succeeds(attempt);
        }
    }
}

/// Waits until a further change of the file has another change time, and some more.
fn until_settled(path: &Path) {
    until("an old change time", || {
        let changed = fs::metadata(path).expect("the file").ctime();
        let changed = UNIX_EPOCH + Duration::from_secs(changed.try_into().expect("after 1970"));
        // The seconds are enough: it is at least one of them old.
        changed
            .elapsed()
            .is_ok_and(|age| age > Duration::from_millis(1100))
    });
}

fn another_name_of_the_file_changes_nothing() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    let name = stage.path("another name");
    actor.ask("lock a g");
    fs::hard_link(stage.lock(), &name).expect("linked");
    actor.ask("release g");
    actor.ask("lock a g");
    assert_eq!(actor.ask("current g"), "true");
    fs::remove_file(&name).expect("removed");
    actor.ask("release g");
    actor.ask("lock a g");
    assert!(refused(&stage).contains(&actor.pid().to_string()));
}

fn a_change_of_the_working_directory_changes_nothing() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    actor.ask(&format!("chdir {}", stage.directory().display()));
    actor.ask("open a a.lock");
    actor.ask("chdir /");
    fs::remove_file(stage.lock()).expect("deleted");
    actor.ask("lock a g");
    assert!(refused(&stage).contains(&actor.pid().to_string()));
}

fn removing_under_contention_lets_nobody_in_twice() {
    let stage = hammer_by_eight("hammer", "remove", 2_000);
    assert!(!stage.lock().exists());
}

fn removing_and_keeping_go_together() {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..8).map(|_| Actor::start()).collect();
    let commands = ["hammer", "hammer-open", "hammer-timed"];
    let options = ["remove", "", "remove verify=path"];
    let hammering: Vec<_> = actors
        .iter_mut()
        .enumerate()
        .map(|(number, actor)| {
            let command = commands[number % commands.len()];
            let options = options[number / 3];
            let hammer = format!("{command} {} 500 {options}", stage.lock().display());
            actor.begin(hammer.trim_end())
        })
        .collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&stage.lock()).expect("the witness");
    assert_eq!(witness.count().expect("its count"), 8 * 500);
}

fn removing_spares_the_replacement_of_the_file() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "remove");
    actor.ask("lock a g");
    replace(&stage.lock());
    fs::write(stage.lock(), "precious").expect("written");
    actor.ask("release g");
    assert_eq!(
        fs::read_to_string(stage.lock()).expect("still there"),
        "precious"
    );
    actor.ask("lock a g");
    actor.ask("release g");
    assert!(!stage.lock().exists());
}
