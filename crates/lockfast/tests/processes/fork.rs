//! Promise 4: a forked child holds nothing, frees nothing, and can lock for itself.

use crate::stage::{Actor, Stage};
use crate::{semaphore, trials};

trials![
    a_childs_copy_of_a_guard_is_inert,
    a_childs_copy_of_a_reentrant_guard_is_inert,
    a_childs_copy_of_a_reentrant_lock_works,
    a_childs_copy_of_a_permit_is_inert,
    a_childs_copy_of_a_handle_works,
    the_parents_death_frees_the_lock_though_the_child_lives,
    the_childs_death_frees_nothing,
    a_grandchild_is_no_different,
    a_child_of_threads_that_lock_can_lock,
    a_fork_without_handlers_is_noticed,
    a_full_table_of_descriptors_does_not_keep_the_lock,
    a_given_file_is_opened_again_in_the_child,
    executed_programs_inherit_nothing,
    a_fork_during_the_first_use_leaves_a_child_that_can_lock,
    a_fork_during_an_open_leaves_no_permits_in_the_child,
];

fn refused(stage: &Stage) -> String {
    Actor::with_lock(stage, "").ask_in_vain("try a g")
}

fn is_free(stage: &Stage) {
    Actor::with_lock(stage, "").ask("try a g");
}

fn a_childs_copy_of_a_guard_is_inert() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "remove");
    parent.ask("lock a g");
    let mut child = parent.fork("libc");
    assert!(
        child
            .ask_in_vain("read-guard g")
            .contains("Bad file descriptor")
    );
    child.ask("release g");
    assert!(refused(&stage).contains(&parent.pid().to_string()));
    // Only a guard of its own makes the child a holder.
    assert!(
        child
            .ask_in_vain("try a h")
            .contains(&parent.pid().to_string())
    );
    parent.ask("release g");
    is_free(&stage);
}

/// An actor that has taken the lock twice, and its child.
fn reentrant_parent_and_child(stage: &Stage, kind: &str) -> (Actor, Actor) {
    let mut parent = Actor::start();
    parent.ask(&format!("re open a {}", stage.lock().display()));
    parent.ask("re lock a g");
    parent.ask("re lock a h");
    let child = parent.fork(kind);
    (parent, child)
}

fn a_childs_copy_of_a_reentrant_guard_is_inert() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let (mut parent, mut child) = reentrant_parent_and_child(&stage, kind);
        // Its thread is a copy of the one that holds it, and does not take it again.
        let told = child.ask_in_vain("re try a x");
        assert!(told.starts_with("contended:"), "{told}");
        assert!(told.contains(&parent.pid().to_string()), "{told}");
        child.ask("re drop g");
        child.ask("re release h");
        assert!(refused(&stage).contains(&parent.pid().to_string()));
        // None of the parent's times was counted down.
        parent.ask("re release g");
        assert!(refused(&stage).contains(&parent.pid().to_string()));
        parent.ask("re try a i");
        parent.ask("re release i");
        parent.ask("re release h");
        is_free(&stage);
    }
}

fn a_childs_copy_of_a_reentrant_lock_works() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let (mut parent, mut child) = reentrant_parent_and_child(&stage, kind);
        parent.ask("re drop g");
        parent.ask("re drop h");
        child.ask("re lock a x");
        child.ask("re try a y");
        // The copies do not count down the child's own times either.
        child.ask("re drop g");
        child.ask("re drop h");
        child.ask("re drop x");
        let told = parent.ask_in_vain("re try a z");
        assert!(told.contains(&child.pid().to_string()), "{told}");
        child.ask("re drop y");
        parent.ask("re try a z");
        assert!(refused(&stage).contains(&parent.pid().to_string()));
    }
}

fn a_childs_copy_of_a_permit_is_inert() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let mut parent = Actor::start();
        parent.ask(&semaphore::open(&stage, 2, ""));
        parent.ask("sem acquire a g");
        parent.ask("sem acquire a h");
        let mut child = parent.fork(kind);
        for copy in ["drop g", "release h"] {
            let told = child.ask_in_vain("sem try a x");
            assert!(told.starts_with("contended:"), "{told}");
            child.ask(&format!("sem {copy}"));
            assert_eq!(parent.ask("sem available a"), "0");
        }
        parent.ask("sem release g");
        child.ask("sem try a x");
        let told = parent.ask_in_vain("sem try a g");
        assert!(told.starts_with("contended:"), "{told}");
        child.ask("sem release x");
        parent.ask("sem release h");
        child.ask("sem try a x 2");
    }
}

fn a_childs_copy_of_a_handle_works() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask("lock a g");
    let mut child = parent.fork("libc");
    let waiting = child.begin_waiting("lock a h", &stage);
    parent.ask("release g");
    child.succeeds(waiting);
    assert!(refused(&stage).contains(&child.pid().to_string()));
    assert!(
        parent
            .ask_in_vain("try a g")
            .contains(&child.pid().to_string())
    );
    child.ask("release h");
    parent.ask("try a g");
}

fn the_parents_death_frees_the_lock_though_the_child_lives() {
    for options in ["", "protocol=flock", "protocol=both"] {
        let stage = Stage::new();
        let mut parent = Actor::with_lock(&stage, options);
        let mut waiter = Actor::with_lock(&stage, options);
        parent.ask("lock a g");
        let mut child = parent.fork("libc");
        let waiting = waiter.begin_waiting("lock a g", &stage);
        parent.kill();
        waiter.succeeds(waiting);
        waiter.ask("release g");
        child.ask("try a h");
    }
}

fn the_childs_death_frees_nothing() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let mut parent = Actor::with_lock(&stage, "");
        parent.ask("lock a g");
        parent.fork(kind).kill();
        assert!(refused(&stage).contains(&parent.pid().to_string()));
    }
}

fn a_grandchild_is_no_different() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    let mut child = parent.fork("libc");
    child.ask("lock a g");
    let mut grandchild = child.fork("libc");
    grandchild.ask("release g");
    assert!(refused(&stage).contains(&child.pid().to_string()));
    child.kill();
    grandchild.ask("lock a h");
    assert!(
        parent
            .ask_in_vain("try a g")
            .contains(&grandchild.pid().to_string())
    );
}

fn a_child_of_threads_that_lock_can_lock() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask("relock-in-threads a 3");
    for _ in 0..50 {
        let mut child = parent.fork("libc");
        child.ask("lock a g");
        child.ask("release g");
        child.kill();
    }
}

fn a_fork_without_handlers_is_noticed() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask("lock a g");
    let mut child = parent.fork("raw");
    child.ask("release g");
    assert!(refused(&stage).contains(&parent.pid().to_string()));
    let waiting = child.begin_waiting("lock a h", &stage);
    parent.ask("release g");
    child.succeeds(waiting);
    assert!(refused(&stage).starts_with("contended:"));
}

fn a_full_table_of_descriptors_does_not_keep_the_lock() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask(&format!("open b {}", stage.path("b.lock").display()));
    parent.ask("lock a g");
    parent.ask("lock b h");
    // The connection to the child needs one of its own.
    let mut child = parent.fork("libc-full-table");
    parent.kill();
    is_free(&stage);
    child.ask("release g");
    child.ask("try a i");
}

fn a_given_file_is_opened_again_in_the_child() {
    let stage = Stage::new();
    std::fs::write(stage.lock(), "content").expect("a file");
    let mut parent = Actor::start();
    parent.ask(&format!("from-file a {}", stage.lock().display()));
    parent.ask("lock a g");
    assert_eq!(parent.ask("read-guard g"), "content");
    let mut child = parent.fork("libc");
    assert!(child.ask_in_vain("try a h").starts_with("contended:"));
    parent.ask("release g");
    child.ask("lock a h");
    assert_eq!(child.ask("read-guard h"), "content");
    child.ask("release h");

    // Replaced: the child must not take another file for the one that was given.
    let mut second = parent.fork("libc");
    std::fs::rename(stage.lock(), stage.path("elsewhere")).expect("renamed");
    std::fs::write(stage.lock(), "another").expect("a file");
    let error = second.ask_in_vain("lock a h");
    assert!(error.contains("another file is there now"), "{error}");
}

fn executed_programs_inherit_nothing() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask("lock a g");
    let open =
        parent.ask("run readlink /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/5 /proc/self/fd/6");
    assert!(!open.contains("a.lock"), "{open}");
    let mut child = parent.fork("libc");
    let open = child.ask("run ls -l /proc/self/fd");
    assert!(!open.contains("a.lock"), "{open}");
}

/// There is one first use in a process, so there are many processes.
fn a_fork_during_the_first_use_leaves_a_child_that_can_lock() {
    for _ in 0..60 {
        let stage = Stage::new();
        Actor::start().ask(&format!(
            "fork-at-first-use {}",
            stage.directory().display()
        ));
    }
}

fn a_fork_during_an_open_leaves_no_permits_in_the_child() {
    let stage = Stage::new();
    let mut parent = Actor::start();
    parent.ask(&format!(
        "fork-while-opening {} 25 100",
        stage.lock().display()
    ));
    // Nobody has it open, though the children live.
    Actor::start().ask(&semaphore::open(&stage, 26, ""));
}
