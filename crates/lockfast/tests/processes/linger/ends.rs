//! Ends of a lock that lingers, other than requests for it: deaths, forks, and what happens to the file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::visitors::unheard;
use super::{LONG, keep, keeper};
use crate::stage::{Actor, Stage, holders, until};
use crate::trials;

trials![
    a_killed_keeper_frees_it,
    a_keeper_that_executes_another_program_frees_it,
    a_forked_child_keeps_nothing_and_frees_nothing,
    the_last_handle_gives_it_up,
    the_thread_ends_with_the_last_file,
    a_file_deleted_replaced_or_renamed_is_given_up,
];

fn a_killed_keeper_frees_it() {
    let stage = Stage::new();
    let mut poller = unheard(&stage);
    let mut keeper = keeper(&stage, "");
    poller.ask_in_vain("classic f exclusive");
    keeper.kill();
    poller.ask("classic f exclusive");
}

fn a_keeper_that_executes_another_program_frees_it() {
    let stage = Stage::new();
    let mut poller = unheard(&stage);
    let mut keeper = keeper(&stage, "");
    poller.ask_in_vain("classic f exclusive");
    let _ = keeper.begin("execute sleep 1000");
    until("the lock free", || {
        let attempt = poller.begin("classic f exclusive");
        poller.answers(attempt).is_ok()
    });
}

fn a_forked_child_keeps_nothing_and_frees_nothing() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let mut parent = keeper(&stage, "");
        let mut child = parent.fork(kind);
        child.ask("close a");
        child.kill();
        assert!(holders(&stage.lock()) > 0, "{kind}");
        // A child of that fork shares the parent's descriptors, which does not matter here.
        parent.ask("lock a g");
        parent.ask("release g");
        let mut child = parent.fork("libc");
        child.ask("lock a h");
        // The parent names itself as long as its thread is not done with what it gave up.
        until("the child named", || {
            let refused = parent.ask_in_vain("try a g");
            refused.contains(&child.pid().to_string())
        });
        child.ask("release h");
        child.ask("lock a h");
        child.ask("release h");
        let mut visitor = Actor::with_lock(&stage, "");
        visitor.ask("lock a g");
    }
}

fn the_last_handle_gives_it_up() {
    for protocol in ["fcntl", "flock", "both"] {
        let stage = Stage::new();
        let options = format!("protocol={protocol}");
        let mut keeper = keeper(&stage, &options);
        keeper.ask("close a");
        assert_eq!(holders(&stage.lock()), 0, "{protocol}");

        let mut keeper = super::keeper(&stage, &options);
        keeper.ask("lock a g");
        keeper.ask("close a");
        assert!(holders(&stage.lock()) > 0);
        keeper.ask("release g");
        assert_eq!(holders(&stage.lock()), 0, "{protocol}");
    }
}

fn the_thread_ends_with_the_last_file() {
    let stage = Stage::new();
    let mut keeper = Actor::start();
    let before = keeper.ask("count task");
    for is_deleted in [false, true, false] {
        let before_open = keeper.ask("count fd");
        keeper.ask(&format!("open a {} {LONG}", stage.lock().display()));
        keep(&mut keeper, &stage);
        assert_ne!(keeper.ask("count task"), before);
        if is_deleted {
            fs::remove_file(stage.lock()).expect("deleted");
        }
        keeper.ask("close a");
        until("the thread gone", || keeper.ask("count task") == before);
        // What is used to watch stays for the next one: two descriptors.
        let left: u32 = keeper.ask("count fd").parse().expect("a number");
        assert!(left <= before_open.parse::<u32>().expect("a number") + 2);
    }
}

fn a_file_deleted_replaced_or_renamed_is_given_up() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::remove_file(path).expect("deleted"),
        |path| {
            let other = path.with_extension("other");
            fs::write(&other, "").expect("a file");
            fs::rename(other, path).expect("replaced");
        },
        |path| fs::rename(path, path.with_extension("elsewhere")).expect("renamed"),
    ];
    for change in changes {
        let stage = Stage::new();
        // Still there when it is deleted, and with the same inode wherever it is.
        let copy = stage.path("copy");
        fs::write(&copy, "").expect("a file");
        fs::hard_link(&copy, stage.lock()).expect("another name");
        let mut keeper = keeper(&stage, "");
        let inode = fs::metadata(&copy).expect("the file").ino();
        change(&stage.lock());
        until("the old file given up", || holders(&copy) == 0);
        keeper.ask("lock a g");
        assert_ne!(fs::metadata(stage.lock()).expect("a file").ino(), inode);
        let mut other = Actor::with_lock(&stage, "");
        assert!(other.ask_in_vain("try a g").starts_with("contended:"));
        keeper.ask("release g");
        other.ask("lock a g");
    }
}
