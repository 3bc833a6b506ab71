//! Owner records: tokens that only grow, and holds that were abandoned.

use std::fs;

use crate::actor_owner::log;
use crate::chaos::{ENOUGH, kills};
use crate::stage::{Actor, Stage, until};
use crate::trials;

trials![
    tokens_grow_across_processes,
    a_killed_holder_is_told_to_the_next_one,
    a_forked_childs_copy_writes_nothing,
    the_holder_is_named_with_its_label,
    an_old_record_names_no_later_holder,
    a_file_with_other_content_is_refused_and_left_alone,
    options_that_contradict_are_refused,
    a_downgrade_that_fails_leaves_the_record_as_it_was,
    a_full_disk_gives_no_lock_without_a_record,
    killed_at_random_tokens_never_repeat_and_no_abandoned_hold_is_missed,
];

const RECORD: &str = "record label=nightly-backup";

fn tokens_grow_across_processes() {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..4).map(|_| Actor::with_lock(&stage, RECORD)).collect();
    for round in 0..3 {
        for (number, actor) in actors.iter_mut().enumerate() {
            actor.ask("lock a g");
            assert_eq!(actor.ask("token g"), (round * 4 + number + 1).to_string());
            assert_eq!(actor.ask("abandoned g"), "nobody");
            actor.ask("release g");
        }
    }
}

fn a_killed_holder_is_told_to_the_next_one() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, RECORD);
    let mut next = Actor::with_lock(&stage, RECORD);
    holder.ask("lock a g");
    let waiting = next.begin_waiting("lock a g", &stage);
    holder.kill();
    next.succeeds(waiting);
    let expected = format!("1 {} nightly-backup Some(false)", holder.pid());
    assert_eq!(next.ask("abandoned g"), expected);
    assert_eq!(next.ask("token g"), "2");
    next.ask("release g");
    next.ask("lock a g");
    assert_eq!(next.ask("abandoned g"), "nobody");
}

fn a_forked_childs_copy_writes_nothing() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, RECORD);
    parent.ask("lock a g");
    let before = fs::read_to_string(stage.lock()).expect("the record");
    assert!(before.contains("state=held"), "{before}");
    let mut child = parent.fork("libc");
    child.ask("drop g");
    assert_eq!(
        fs::read_to_string(stage.lock()).expect("the record"),
        before
    );
    parent.ask("release g");
    let after = fs::read_to_string(stage.lock()).expect("the record");
    assert!(!after.contains("state=held"), "{after}");
    child.ask("lock a g");
    assert_eq!(child.ask("token g"), "2");
}

fn the_holder_is_named_with_its_label() {
    for protocol in ["fcntl", "flock", "both"] {
        let stage = Stage::new();
        let options = format!("{RECORD} protocol={protocol}");
        let mut holder = Actor::with_lock(&stage, &options);
        let mut other = Actor::with_lock(&stage, &options);
        holder.ask("lock a g");
        let error = other.ask_in_vain("try a g");
        let who = format!("held by pid {} (nightly-backup), for ", holder.pid());
        assert!(error.contains(&who), "{error}");
    }
}

/// The last one with a record was killed, and now somebody without one holds it.
fn an_old_record_names_no_later_holder() {
    for protocol in ["fcntl", "flock"] {
        let stage = Stage::new();
        let options = format!("{RECORD} protocol={protocol}");
        let mut killed = Actor::with_lock(&stage, &options);
        killed.ask("lock a g");
        killed.kill();
        let mut holder = Actor::with_lock(&stage, &format!("protocol={protocol}"));
        holder.ask("lock a g");
        let mut other = Actor::with_lock(&stage, &options);
        let error = other.ask_in_vain("try a g");
        assert!(!error.contains("nightly-backup"), "{error}");
    }
}

fn a_downgrade_that_fails_leaves_the_record_as_it_was() {
    let record = |stage: &Stage| fs::read_to_string(stage.lock()).expect("the record");
    for how in ["downgrade", "downgrade-to-upgradable"] {
        let stage = Stage::new();
        let mut actor = Actor::start();
        actor.ask(&format!("rw open a {} record", stage.lock().display()));
        actor.ask("rw write a g");
        let before = record(&stage);
        // The kernel gives no shared lock to a descriptor that only writes.
        actor.ask("fds only-write");
        let error = actor.ask_in_vain(&format!("rw change {how} g"));
        assert!(error.starts_with("system:"), "{error}");
        assert_eq!(actor.ask("rw token g"), "1");
        assert_eq!(record(&stage), before);
        actor.ask("rw release g");
        assert!(!record(&stage).contains("state=held"));
    }
}

fn a_file_with_other_content_is_refused_and_left_alone() {
    let stage = Stage::new();
    fs::write(stage.lock(), "4711\n").expect("written");
    let mut actor = Actor::start();
    let path = stage.lock().display().to_string();
    let error = actor.ask_in_vain(&format!("open a {path} record"));
    assert!(error.starts_with("invalid-path:"), "{error}");
    assert!(
        error.contains(&path) && error.contains("other content"),
        "{error}"
    );

    // It gets other content while it is open.
    fs::write(stage.lock(), "").expect("written");
    actor.ask(&format!("open a {path} record"));
    fs::write(stage.lock(), "4711\n").expect("written");
    let error = actor.ask_in_vain("lock a g");
    assert!(error.contains("other content"), "{error}");
    assert_eq!(
        fs::read_to_string(stage.lock()).expect("readable"),
        "4711\n"
    );
    fs::write(stage.lock(), "").expect("written");
    actor.ask("lock a g");
    assert_eq!(actor.ask("token g"), "1");
}

fn options_that_contradict_are_refused() {
    let stage = Stage::new();
    let path = stage.lock().display().to_string();
    let mut actor = Actor::start();
    for options in ["record remove", "record label=\u{1}"] {
        actor.ask_in_vain(&format!("open a {path} {options}"));
    }
    actor.ask_in_vain(&format!("sem open s {path} 3 record"));
}

/// A lock whose record can't be written can't be held.
fn a_full_disk_gives_no_lock_without_a_record() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, RECORD);
    let mut other = Actor::with_lock(&stage, "");
    actor.ask("no-more-bytes");
    let error = actor.ask_in_vain("lock a g");
    assert!(error.contains("cannot write the owner record"), "{error}");
    other.ask("try a g");
}

fn killed_at_random_tokens_never_repeat_and_no_abandoned_hold_is_missed() {
    let stage = Stage::new();
    let hammer = |number: usize| {
        let mut actor = Actor::with_lock(&stage, &format!("record label=number-{number}"));
        let hammering = actor.begin("log-holds a 1000000000");
        (actor, hammering)
    };
    let length = || fs::metadata(log(&stage.lock())).map_or(0, |log| log.len());
    let mut running: Vec<_> = (0..4).map(hammer).collect();
    let kills = kills();
    for kill in 0..kills {
        let before = length();
        until("holds after a kill", || length() > before);
        let at = kill % running.len();
        let (mut victim, _) = std::mem::replace(&mut running[at], hammer(kill));
        victim.kill();
    }
    drop(running);

    let text = fs::read_to_string(log(&stage.lock())).expect("the log");
    let (mut last, mut is_open, mut abandoned) = (0_u64, false, 0);
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        if words[0] == "end" {
            assert_eq!(number(1), last, "only the holder ends its hold");
            is_open = false;
            continue;
        }
        let (token, previous) = (number(1), number(2));
        assert!(token > last, "{token} after {last}");
        // A hold that died before it could write into the log left a gap.
        if is_open || token > last + 1 {
            assert_eq!(previous, token - 1, "the hold before {token} was abandoned");
            abandoned += 1;
        }
        (last, is_open) = (token, true);
    }
    eprintln!("{kills} were killed in {last} holds, {abandoned} of which were abandoned");
    if kills >= ENOUGH {
        assert!(abandoned > 0, "some died while they held it");
    }
}
