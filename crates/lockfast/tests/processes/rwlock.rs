//! Promise 6: readers and writers of several processes.

use crate::stage::{Actor, Pending, Stage, until, waiters};
use crate::trials;
use crate::witness::Witness;

trials![
    readers_share_and_writers_are_alone,
    no_reader_overtakes_a_waiting_writer,
    no_reader_joins_its_handle_before_a_waiting_writer,
    threads_of_one_handle_read_at_once,
    a_waiting_writer_that_dies_opens_the_gate,
    a_waiting_writer_that_gives_up_opens_the_gate,
    a_reader_that_waited_goes_before_the_next_writer,
    only_one_guard_is_upgradable_at_a_time,
    an_upgrade_waits_for_readers_and_precedes_writers,
    an_upgrade_that_fails_reads_on,
    a_downgrade_lets_readers_in_and_no_writer,
    holders_that_are_killed_free_it,
    eight_processes_keep_every_rule,
    eight_processes_keep_every_rule_while_the_file_is_removed,
    readers_in_threads_and_a_writer_of_another_process_all_get_through,
    a_lock_excludes_readers_and_writers,
    the_last_one_out_removes_the_file,
    flock_shares_and_excludes_but_can_not_change,
];

fn actors<const N: usize>(stage: &Stage, options: &str) -> [Actor; N] {
    std::array::from_fn(|_| {
        let mut actor = Actor::start();
        let open = format!("rw open a {} {options}", stage.lock().display());
        actor.ask(open.trim_end());
        actor
    })
}

fn is_contended(actor: &mut Actor, command: &str) -> bool {
    actor.ask_in_vain(command).starts_with("contended:")
}

fn readers_share_and_writers_are_alone() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = actors(&stage, "");
    one.ask("rw read a g");
    other.ask("rw read a g");
    assert!(is_contended(&mut third, "rw try-write a g"));
    let waiting = third.begin_waiting("rw write a g", &stage);
    one.ask("rw release g");
    assert!(!third.has_answered(waiting));
    other.ask("rw release g");
    third.succeeds(waiting);
    for how in ["try-read", "try-upgradable", "try-write"] {
        let refused = one.ask_in_vain(&format!("rw {how} a g"));
        let holder = format!("held by pid {}", third.pid());
        assert!(
            refused.starts_with("contended:") && refused.ends_with(&holder),
            "{refused}"
        );
    }
    assert!(
        other
            .ask_in_vain("rw read-for a g 5")
            .starts_with("timed-out:")
    );
    let reading = one.begin_waiting("rw read a g", &stage);
    third.ask("rw release g");
    one.succeeds(reading);
}

fn no_reader_overtakes_a_waiting_writer() {
    let stage = Stage::new();
    let [mut reader, mut writer, mut late] = actors(&stage, "");
    reader.ask("rw read a g");
    let writing = writer.begin_waiting("rw write a g", &stage);
    assert!(is_contended(&mut late, "rw try-read a g"));
    assert!(is_contended(&mut late, "rw try-upgradable a g"));
    let reading = late.begin_waiting("rw read a g", &stage);
    reader.ask("rw release g");
    writer.succeeds(writing);
    assert!(!late.has_answered(reading));
    writer.ask("rw release g");
    late.succeeds(reading);
}

fn no_reader_joins_its_handle_before_a_waiting_writer() {
    let stage = Stage::new();
    let [mut reader, mut writer] = actors(&stage, "on-wait=");
    reader.ask("rw read a g");
    let writing = writer.begin_waiting("rw write a g", &stage);
    // The thread that reads already may read again; another thread of it may not.
    reader.ask("rw read a again");
    let attempt = reader.begin("rw try-read a h");
    assert!(reader.fails(attempt).starts_with("contended:"));
    let late = reader.begin("rw read a h");
    reader.event();
    reader.ask("rw release g");
    assert!(!writer.has_answered(writing));
    reader.ask("rw release again");
    writer.succeeds(writing);
    assert!(!reader.has_answered(late));
    writer.ask("rw release g");
    reader.succeeds(late);
}

fn threads_of_one_handle_read_at_once() {
    let stage = Stage::new();
    let [mut actor, mut writer] = actors(&stage, "");
    for guard in ["one", "two", "three"] {
        let reading = actor.begin(&format!("rw read a {guard}"));
        actor.succeeds(reading);
    }
    for guard in ["two", "one"] {
        actor.ask(&format!("rw release {guard}"));
        assert!(is_contended(&mut writer, "rw try-write a g"));
    }
    actor.ask("rw release three");
    writer.ask("rw try-write a g");
}

fn a_waiting_writer_that_dies_opens_the_gate() {
    let stage = Stage::new();
    let [mut reader, mut writer, mut late] = actors(&stage, "");
    reader.ask("rw read a g");
    writer.begin_waiting("rw write a g", &stage);
    let reading = late.begin_waiting("rw read a g", &stage);
    writer.kill();
    late.succeeds(reading);
}

fn a_waiting_writer_that_gives_up_opens_the_gate() {
    let stage = Stage::new();
    let [mut reader, mut writer, mut late] = actors(&stage, "");
    reader.ask("rw read a g");
    assert!(
        writer
            .ask_in_vain("rw write-for a g 20")
            .starts_with("timed-out:")
    );
    late.ask("rw try-read a g");
}

/// Both wait for a writer, the reader in a room; the next writer leaves it the way. A reader whose process does not run
/// for a while is overtaken, on a machine that is busy with other things.
fn a_reader_that_waited_goes_before_the_next_writer() {
    const ROUNDS: u32 = 20;
    let mut overtaken = 0;
    for _ in 0..ROUNDS {
        let stage = Stage::new();
        let [mut holder, mut writer, mut reader] = actors(&stage, "");
        holder.ask("rw write a g");
        let writing = writer.begin_waiting("rw write a g", &stage);
        let reading = reader.begin_waiting("rw read a g", &stage);
        holder.ask("rw release g");
        let mut is_overtaken = false;
        until("one of them gets in", || {
            is_overtaken = writer.has_answered(writing);
            is_overtaken || reader.has_answered(reading)
        });
        if is_overtaken {
            overtaken += 1;
            writer.ask("rw release g");
            reader.succeeds(reading);
        } else {
            assert!(!writer.has_answered(writing));
            reader.ask("rw release g");
            writer.succeeds(writing);
        }
    }
    assert!(overtaken < ROUNDS / 2, "{overtaken} of {ROUNDS}");
}

fn only_one_guard_is_upgradable_at_a_time() {
    let stage = Stage::new();
    let [mut one, mut other, mut reader] = actors(&stage, "");
    one.ask("rw upgradable a g");
    reader.ask("rw read a g");
    assert!(is_contended(&mut other, "rw try-upgradable a g"));
    // The same among the threads of a handle.
    let attempt = one.begin("rw try-upgradable a h");
    assert!(one.fails(attempt).starts_with("contended:"));
    let waiting = other.begin_waiting("rw upgradable a g", &stage);
    one.ask("rw release g");
    other.succeeds(waiting);
}

fn an_upgrade_waits_for_readers_and_precedes_writers() {
    let stage = Stage::new();
    let [mut upgrader, mut reader, mut writer, mut late] = actors(&stage, "");
    upgrader.ask("rw upgradable a g");
    reader.ask("rw read a g");
    let writing = writer.begin_waiting("rw write a g", &stage);
    let upgrading = upgrader.begin_waiting("rw change upgrade g", &stage);
    assert!(is_contended(&mut late, "rw try-read a g"));
    reader.ask("rw release g");
    upgrader.succeeds(upgrading);
    assert!(!writer.has_answered(writing));
    assert!(is_contended(&mut late, "rw try-read a g"));
    upgrader.ask("rw release g");
    writer.succeeds(writing);
}

fn an_upgrade_that_fails_reads_on() {
    let stage = Stage::new();
    let [mut upgrader, mut reader, mut other] = actors(&stage, "");
    upgrader.ask("rw upgradable a g");
    reader.ask("rw read a g");
    assert!(is_contended(&mut upgrader, "rw change try-upgrade g"));
    let told = upgrader.ask_in_vain("rw change upgrade-for g 10");
    assert!(told.starts_with("timed-out:"), "{told}");
    // It is upgradable as before, and the gate is open.
    assert!(is_contended(&mut other, "rw try-upgradable a g"));
    other.ask("rw try-read a g");
    other.ask("rw release g");
    reader.ask("rw release g");
    upgrader.ask("rw change upgrade g");
    assert!(is_contended(&mut other, "rw try-read a g"));
}

fn a_downgrade_lets_readers_in_and_no_writer() {
    let stage = Stage::new();
    let [mut writer, mut other, mut reader] = actors(&stage, "");
    writer.ask("rw write a g");
    let writing = other.begin_waiting("rw write a g", &stage);
    let reading = reader.begin_waiting("rw read a g", &stage);
    writer.ask("rw change downgrade-to-upgradable g");
    reader.succeeds(reading);
    assert!(!other.has_answered(writing));
    writer.ask("rw change downgrade g");
    reader.ask("rw release g");
    assert!(!other.has_answered(writing));
    writer.ask("rw release g");
    other.succeeds(writing);
    other.ask("rw change downgrade g");
    reader.ask("rw try-upgradable a g");
}

fn holders_that_are_killed_free_it() {
    for how in ["read", "upgradable", "write"] {
        let stage = Stage::new();
        let [mut holder, mut next] = actors(&stage, "");
        holder.ask(&format!("rw {how} a g"));
        let writing = next.begin_waiting("rw write a g", &stage);
        holder.kill();
        next.succeeds(writing);
    }
}

fn eight_processes_keep_every_rule() {
    hammer("", 400);
}

fn eight_processes_keep_every_rule_while_the_file_is_removed() {
    hammer("remove", 200);
}

fn hammer(options: &str, rounds: u64) {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..8).map(|_| Actor::start()).collect();
    let hammer = format!("rw hammer {} {rounds} {options}", stage.lock().display());
    let begin = |actor: &mut Actor| actor.begin(hammer.trim_end());
    let hammering: Vec<Pending> = actors.iter_mut().map(begin).collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&stage.lock()).expect("the witness");
    assert_eq!(witness.count().expect("its count"), 8 * rounds / 2);
}

/// They stand still if one of the readers waits for the writer while its process has the lock of readers
/// that have left.
fn readers_in_threads_and_a_writer_of_another_process_all_get_through() {
    let stage = Stage::new();
    let path = stage.lock();
    let (mut readers, mut writer) = (Actor::start(), Actor::start());
    let reading = readers.begin(&format!("rw read-in-threads 8 {} 4000", path.display()));
    let writing = writer.begin(&format!("rw hammer {} 8000", path.display()));
    writer.succeeds(writing);
    readers.succeeds(reading);
}

fn a_lock_excludes_readers_and_writers() {
    let stage = Stage::new();
    let [mut actor] = actors(&stage, "");
    let mut other = Actor::with_lock(&stage, "");
    other.ask("lock a g");
    for how in ["try-read", "try-upgradable", "try-write"] {
        assert!(is_contended(&mut actor, &format!("rw {how} a g")));
    }
    other.ask("release g");
    for how in ["read", "upgradable", "write"] {
        actor.ask(&format!("rw {how} a g"));
        assert!(is_contended(&mut other, "try a g"));
        let waiting = other.begin_waiting("lock a g", &stage);
        actor.ask("rw release g");
        other.succeeds(waiting);
        other.ask("release g");
    }
}

fn the_last_one_out_removes_the_file() {
    let stage = Stage::new();
    let [mut one, mut other] = actors(&stage, "remove");
    one.ask("rw read a g");
    other.ask("rw read a g");
    one.ask("rw release g");
    assert!(stage.lock().exists());
    other.ask("rw release g");
    assert!(!stage.lock().exists());
    for how in ["write", "upgradable", "read"] {
        one.ask(&format!("rw {how} a g"));
        assert!(stage.lock().exists());
        one.ask("rw release g");
        assert!(!stage.lock().exists(), "{how}");
    }
}

fn flock_shares_and_excludes_but_can_not_change() {
    for protocol in ["flock", "both"] {
        let stage = Stage::new();
        let options = format!("protocol={protocol}");
        let [mut one, mut other] = actors(&stage, &options);
        one.ask("rw read a g");
        other.ask("rw try-read a g");
        assert!(is_contended(&mut other, "rw try-write a h"));
        other.ask("rw release g");
        let writing = other.begin("rw write a g");
        until("a waiting writer", || waiters(&stage.lock()) > 0);
        one.ask("rw release g");
        other.succeeds(writing);
        assert!(is_contended(&mut one, "rw try-read a g"));
        for change in ["downgrade", "downgrade-to-upgradable"] {
            let told = other.ask_in_vain(&format!("rw change {change} g"));
            assert!(told.starts_with("unsupported:"), "{told}");
            assert!(is_contended(&mut one, "rw try-read a g"), "still held");
        }
        other.ask("rw release g");
        let told = one.ask_in_vain("rw upgradable a g");
        assert!(told.starts_with("unsupported:"), "{told}");
    }
}
