//! Where locks can't linger, and what does not go together with it.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;
use lockfast_testing::{trial, trial_needing};

use super::{LONG, keepers};
use crate::stage::{Actor, Stage, holders, installed, own_words};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "linger::refused::a_lock_that_can_not_linger_is_an_error",
            a_lock_that_can_not_linger_is_an_error,
        ),
        trial_needing!(
            "linger::refused::without_watches_it_says_so",
            installed("strace"),
            without_watches_it_says_so,
        ),
        trial_needing!(
            "linger::refused::a_file_that_can_not_be_watched_later_is_not_kept",
            installed("strace"),
            a_file_that_can_not_be_watched_later_is_not_kept,
        ),
    ]
}

fn a_lock_that_can_not_linger_is_an_error() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let path = stage.lock();
    for options in ["linger=0", "linger=1 remove", "linger=1 verify=path"] {
        let refused = actor.ask_in_vain(&format!("open a {} {options}", path.display()));
        assert!(refused.contains("linger"), "{refused}");
        assert!(!path.exists());
    }
    let refused = actor.ask_in_vain(&format!("sem open s {} 3 linger=1", path.display()));
    assert!(refused.contains("linger"), "{refused}");
    // A file system that is not known to be kept by this machine alone.
    let refused = actor.ask_in_vain("open a /proc/self/oom_score_adj linger=1");
    assert!(refused.starts_with("unsupported:"), "{refused}");
}

/// An actor whose calls of that sort fail as said.
fn failing(injection: &str) -> Actor {
    let call = injection.split(':').next().expect("a call");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null"]);
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={injection}")]);
    Actor::start_by(strace.args(own_words()).arg("actor"))
}

/// As where the limits of the user are reached.
fn without_watches_it_says_so() {
    for injection in [
        "inotify_init1:error=EMFILE",
        "inotify_add_watch:error=ENOSPC",
    ] {
        let stage = Stage::new();
        let mut actor = failing(injection);
        let before = actor.ask("count task");
        let refused = actor.ask_in_vain(&format!("open a {} {LONG}", stage.lock().display()));
        assert!(refused.starts_with("unsupported:"), "{refused}");
        assert!(refused.contains("inotify"), "{refused}");
        assert_eq!(actor.ask("count task"), before);
        actor.ask(&format!("open a {}", stage.lock().display()));
        actor.ask("lock a g");
    }
}

/// The keeper would hear no request.
fn a_file_that_can_not_be_watched_later_is_not_kept() {
    let stage = Stage::new();
    let mut actor = failing("inotify_add_watch:error=ENOSPC:when=2+");
    actor.ask(&format!("open a {} {LONG}", stage.lock().display()));
    super::keep(&mut actor, &stage);
    fs::remove_file(stage.lock()).expect("removed");
    crate::stage::until("the new file locked", || {
        actor.ask("lock a g");
        actor.ask("release g");
        stage.lock().exists()
    });
    for _ in 0..20 {
        actor.ask("lock a g");
        actor.ask("release g");
        assert_eq!((holders(&stage.lock()), keepers(&stage)), (0, 0));
    }
}
