//! A program may close or replace every descriptor that it finds. Then a lock is opened again, a guard
//! says that it holds nothing, and nothing of the program's is touched.

use crate::stage::{Actor, Pending, Stage, until};
use crate::{semaphore, trials};

trials![
    a_closed_descriptor_is_opened_again,
    a_replaced_descriptor_is_left_alone_and_the_file_opened_again,
    a_waiter_opens_the_file_again_after_its_descriptor_was_replaced,
    a_given_file_that_was_closed_is_opened_again,
    a_guard_whose_descriptor_is_gone_says_so,
    two_handles_do_not_get_one_descriptor,
    readers_and_upgrades_notice_it_too,
    permits_are_taken_from_the_file_that_is_opened_again,
    a_line_for_permits_goes_on_without_its_bell,
    a_kept_lock_is_given_up_with_its_descriptor,
    a_record_is_not_written_into_a_file_of_the_programs,
    a_child_inherits_the_programs_descriptors,
    a_child_that_closes_everything_can_lock,
    the_numbers_of_the_standard_streams_are_not_used,
    threads_that_open_and_close_leave_nothing_open,
];

/// Whether others are kept out while that actor has guard `g`.
fn must_exclude(stage: &Stage, options: &str) {
    let told = Actor::with_lock(stage, options).ask_in_vain("try a g");
    assert!(told.starts_with("contended:"), "{options}: {told}");
}

fn is_free(stage: &Stage, options: &str) {
    Actor::with_lock(stage, options).ask("try a g");
}

const OPTIONS: [&str; 5] = [
    "protocol=fcntl",
    "protocol=flock",
    "protocol=both",
    "verify=path",
    "fifo",
];

fn a_closed_descriptor_is_opened_again() {
    for options in OPTIONS.into_iter().chain(["verify=off"]) {
        // Before the first acquire, and after one.
        for before in [&[][..], &["lock a g", "release g"]] {
            let stage = Stage::new();
            let mut actor = Actor::with_lock(&stage, options);
            for command in before {
                actor.ask(command);
            }
            for take in ["lock a g", "try a g", "for a g 600000"] {
                actor.ask("fds close");
                actor.ask(take);
                assert_eq!(actor.ask("current g"), "true", "{options}");
                must_exclude(&stage, options);
                actor.ask("release g");
                is_free(&stage, options);
            }
        }
    }
}

fn replace(actor: &mut Actor, stage: &Stage) {
    let own = stage.path("own");
    std::fs::create_dir_all(&own).expect("a directory");
    actor.ask(&format!("fds replace {}", own.display()));
}

fn a_replaced_descriptor_is_left_alone_and_the_file_opened_again() {
    for options in OPTIONS {
        for before in [&[][..], &["lock a g", "release g"]] {
            let stage = Stage::new();
            let mut actor = Actor::with_lock(&stage, options);
            for command in before {
                actor.ask(command);
            }
            replace(&mut actor, &stage);
            actor.ask("lock a g");
            must_exclude(&stage, options);
            actor.ask("release g");
            is_free(&stage, options);
            actor.ask("close a");
            actor.ask("fds intact");
        }
        // A handle that is dropped as it is.
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, options);
        replace(&mut actor, &stage);
        actor.ask("close a");
        actor.ask("fds intact");
    }
}

fn a_waiter_opens_the_file_again_after_its_descriptor_was_replaced() {
    for options in OPTIONS {
        let stage = Stage::new();
        let mut holder = Actor::with_lock(&stage, options);
        let mut actor = Actor::with_lock(&stage, options);
        actor.ask("lock a g");
        actor.ask("release g");
        holder.ask("lock a g");
        replace(&mut actor, &stage);
        let told = actor.ask_in_vain("try a g");
        assert!(told.starts_with("contended:"), "{told}");
        replace(&mut actor, &stage);
        let told = actor.ask_in_vain("for a g 10");
        assert!(told.starts_with("timed-out:"), "{told}");
        replace(&mut actor, &stage);
        let waiting = actor.begin_waiting("lock a g", &stage);
        holder.ask("release g");
        actor.succeeds(waiting);
        must_exclude(&stage, options);

        // And by one who waits already.
        actor.ask("release g");
        holder.ask("lock a g");
        let waiting = actor.begin_waiting("lock a g", &stage);
        replace(&mut actor, &stage);
        holder.ask("release g");
        actor.succeeds(waiting);
        must_exclude(&stage, options);
        actor.ask("release g");
        is_free(&stage, options);
    }
}

fn a_given_file_that_was_closed_is_opened_again() {
    let stage = Stage::new();
    std::fs::write(stage.lock(), "content").expect("a file");
    let mut actor = Actor::start();
    actor.ask(&format!("from-file a {}", stage.lock().display()));
    actor.ask("fds close");
    actor.ask("lock a g");
    must_exclude(&stage, "");
    assert_eq!(actor.ask("read-guard g"), "content");
    actor.ask("release g");

    std::fs::rename(stage.lock(), stage.path("elsewhere")).expect("renamed");
    std::fs::write(stage.lock(), "another").expect("a file");
    actor.ask("fds close");
    let error = actor.ask_in_vain("lock a g");
    assert!(error.contains("another file is there now"), "{error}");
}

fn a_guard_whose_descriptor_is_gone_says_so() {
    const SAYS: &str = "the program closed or replaced the descriptor of the lock file";
    for options in OPTIONS {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, options);
        actor.ask("lock a g");
        assert_eq!(actor.ask("current g"), "true");
        actor.ask("fds close");
        assert_eq!(actor.ask("current g"), "false");
        is_free(&stage, options);
        let error = actor.ask_in_vain("release g");
        assert!(error.contains(SAYS) && error.contains("a.lock"), "{error}");
        actor.ask("lock a g");
        must_exclude(&stage, options);

        replace(&mut actor, &stage);
        assert_eq!(actor.ask("current g"), "false");
        actor.ask("drop g");
        actor.ask("fds intact");
        actor.ask("lock a g");
        must_exclude(&stage, options);
    }
}

/// The number that one handle has lost is the next one's, for the same file: the kernel sees one holder.
fn two_handles_do_not_get_one_descriptor() {
    for options in OPTIONS.into_iter().chain(["verify=off"]) {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, options);
        actor.ask("lock a g");
        actor.ask("release g");
        actor.ask("fds close");
        let open = format!("open b {} {options}", stage.lock().display());
        actor.ask(&open);
        actor.ask("lock b h");
        let told = actor.ask_in_vain("try a g");
        assert!(told.starts_with("contended:"), "{options}: {told}");
        actor.ask("close a");
        must_exclude(&stage, options);
        actor.ask("release h");
        actor.ask("lock b h");
        must_exclude(&stage, options);
    }
}

fn readers_and_upgrades_notice_it_too() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let open = format!("rw open a {}", stage.lock().display());
    actor.ask(&open);
    actor.ask("rw upgradable a u");
    replace(&mut actor, &stage);
    let error = actor.ask_in_vain("rw change upgrade u");
    assert!(error.contains("closed or replaced"), "{error}");
    actor.ask("fds intact");
    let _ = actor.attempts("rw release u");
    actor.ask("rw read a r");
    must_exclude(&stage, "");
    actor.ask("rw release r");
    actor.ask("rw write a w");
    must_exclude(&stage, "");
    actor.ask("fds close");
    let error = actor.ask_in_vain("rw change downgrade w");
    assert!(error.contains("closed or replaced"), "{error}");
}

fn permits_are_taken_from_the_file_that_is_opened_again() {
    for options in ["", "fifo", "verify=off"] {
        let stage = Stage::new();
        let mut actor = Actor::start();
        let mut other = Actor::start();
        actor.ask(&semaphore::open(&stage, 2, options));
        other.ask(&semaphore::open(&stage, 2, options));
        if options != "verify=off" {
            replace(&mut actor, &stage);
            actor.ask("sem try a g 2");
            let told = other.ask_in_vain("sem try a g");
            assert!(told.starts_with("contended:"), "{told}");
            actor.ask("sem release g");
            actor.ask("fds intact");
        }
        actor.ask("fds close");
        actor.ask("sem acquire a g");
        assert_eq!(other.ask("sem available a"), "1");
        actor.ask("fds close");
        // The kernel has freed it.
        assert_eq!(other.ask("sem available a"), "2");
        let _ = actor.attempts("sem release g");
        actor.ask("sem acquire a g 2");
        assert_eq!(other.ask("sem available a"), "0");
    }
}

fn a_line_for_permits_goes_on_without_its_bell() {
    let stage = Stage::new();
    let (mut holder, mut actor) = (Actor::start(), Actor::start());
    holder.ask(&semaphore::open(&stage, 1, ""));
    actor.ask(&semaphore::open(&stage, 1, ""));
    for replace in ["fds close", "fds replace-by-counters"] {
        holder.ask("sem acquire a g");
        let waiting = begin_in_line(&mut actor, &stage);
        actor.ask(replace);
        holder.ask("sem release g");
        actor.succeeds(waiting);
        actor.ask("sem release g");
    }
    actor.ask("sem close a");
    actor.ask("fds intact");
}

fn begin_in_line(actor: &mut Actor, stage: &Stage) -> Pending {
    let pending = actor.begin("sem acquire a g");
    until("the head of the line", || {
        crate::stage::held_from(&stage.lock(), semaphore::WAITING) > 0
    });
    pending
}

fn a_kept_lock_is_given_up_with_its_descriptor() {
    for replace in ["fds close", "fds replace-by-counters"] {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, "linger=for-ever");
        actor.ask("lock a g");
        actor.ask("release g");
        actor.ask(replace);
        let mut other = Actor::with_lock(&stage, "");
        other.ask("lock a g");
        // It may believe for an instant that it has it still.
        until("an actor that knows that it has lost it", || {
            let is_in = actor.attempts("try a h");
            if is_in {
                actor.attempts("drop h");
            }
            !is_in
        });
        other.ask("release g");
        for _ in 0..3 {
            actor.ask("lock a g");
            must_exclude(&stage, "");
            actor.ask("release g");
        }
        actor.ask("close a");
        if replace != "fds close" {
            actor.ask("fds intact");
        }
    }
}

fn a_record_is_not_written_into_a_file_of_the_programs() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "record");
    actor.ask("lock a g");
    replace(&mut actor, &stage);
    let error = actor.ask_in_vain("release g");
    assert!(error.contains("closed or replaced"), "{error}");
    actor.ask("fds intact");
    actor.ask("lock a g");
    assert_eq!(actor.ask("token g"), "2");
    actor.ask("fds intact");
}

fn a_child_inherits_the_programs_descriptors() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "linger=for-ever");
    actor.ask("lock a g");
    replace(&mut actor, &stage);
    let mut child = actor.fork("libc");
    child.ask("fds intact");
    child.ask("release g");
    child.ask("close a");
    child.ask("fds intact");
}

/// As a daemon does: it forks, and closes all that it has inherited.
fn a_child_that_closes_everything_can_lock() {
    for kind in ["libc", "raw"] {
        let stage = Stage::new();
        let mut parent = Actor::with_lock(&stage, "");
        parent.ask("lock a g");
        let mut child = parent.fork(kind);
        child.ask("fds close");
        parent.ask("release g");
        child.ask("lock a h");
        // The copy of the parent's file must not take the child's own with it.
        child.ask("drop g");
        must_exclude(&stage, "");
        let told = parent.ask_in_vain("try a g");
        assert!(told.starts_with("contended:"), "{told}");
        child.ask("release h");
        child.ask("close a");
        parent.ask("try a g");
    }
}

fn the_numbers_of_the_standard_streams_are_not_used() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let command = format!("fds open-without-standard-error {}", stage.lock().display());
    assert_eq!(actor.ask(&command), "nothing");
}

fn threads_that_open_and_close_leave_nothing_open() {
    let stage = Stage::new();
    let command = format!("fds open-in-threads {}", stage.lock().display());
    assert_eq!(Actor::start().ask(&command), "0");
}
