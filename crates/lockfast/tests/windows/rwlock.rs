//! Readers and writers of several processes.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    readers_are_there_together_and_writers_alone,
    no_reader_overtakes_a_waiting_writer,
    a_writer_that_gives_up_lets_readers_in,
    one_guard_is_upgradable_beside_readers,
    an_upgrade_waits_for_readers_and_lets_nobody_in_between,
    an_upgrade_in_vain_leaves_the_guard_as_it_was,
    a_downgrade_lets_readers_in_and_no_writer,
    a_downgrade_to_upgradable_keeps_other_writers_out,
];

fn three(stage: &Stage) -> [Actor; 3] {
    [0; 3].map(|_| Actor::with("rw", stage, "tell"))
}

fn readers_are_there_together_and_writers_alone() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = three(&stage);
    one.ask("read a r");
    other.ask("try-read a r");
    assert!(third.ask_in_vain("try-write a w").starts_with("contended"));
    one.ask("release r");
    assert!(third.ask_in_vain("try-write a w").starts_with("contended"));
    other.ask("release r");
    third.ask("try-write a w");
    for actor in [&mut one, &mut other] {
        assert!(actor.ask_in_vain("try-read a r").starts_with("contended"));
        assert!(actor.ask_in_vain("try-write a r").starts_with("contended"));
    }
}

fn no_reader_overtakes_a_waiting_writer() {
    let stage = Stage::new();
    let [mut one, mut writer, mut third] = three(&stage);
    one.ask("read a r");
    let entry = writer.begin_waiting("write a w");
    // It is told of the wait just before the gate is shut.
    while third.attempts("try-read a r") {
        third.ask("release r");
    }
    let reads = third.begin_waiting("read a r");
    assert!(!writer.has_answered(entry));
    one.ask("release r");
    writer.succeeds(entry);
    assert!(!third.has_answered(reads));
    writer.ask("release w");
    third.succeeds(reads);
}

fn a_writer_that_gives_up_lets_readers_in() {
    let stage = Stage::new();
    let [mut one, mut writer, mut third] = three(&stage);
    one.ask("read a r");
    let error = writer.ask_in_vain("write-for a w 50");
    assert!(error.starts_with("timed-out"), "{error}");
    third.ask("try-read a r");
    third.ask("release r");
    one.ask("release r");
    writer.ask("try-write a w");
}

fn one_guard_is_upgradable_beside_readers() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = three(&stage);
    one.ask("upgradable a u");
    other.ask("try-read a r");
    assert!(
        third
            .ask_in_vain("try-upgradable a u")
            .starts_with("contended")
    );
    assert!(third.ask_in_vain("try-write a w").starts_with("contended"));
    one.ask("convert down u");
    third.ask("try-upgradable a u");
}

fn an_upgrade_waits_for_readers_and_lets_nobody_in_between() {
    let stage = Stage::new();
    let [mut one, mut reader, mut third] = three(&stage);
    one.ask("upgradable a u");
    reader.ask("read a r");
    let writes = third.begin_waiting("write a w");
    let upgrade = one.begin_waiting("convert up u");
    assert!(!one.has_answered(upgrade));
    reader.ask("release r");
    one.succeeds(upgrade);
    assert!(!third.has_answered(writes));
    assert!(reader.ask_in_vain("try-read a r").starts_with("contended"));
    one.ask("release u");
    third.succeeds(writes);
}

fn an_upgrade_in_vain_leaves_the_guard_as_it_was() {
    let stage = Stage::new();
    let [mut one, mut reader, mut third] = three(&stage);
    one.ask("upgradable a u");
    reader.ask("read a r");
    for attempt in ["convert try-up u", "convert up-for u 30"] {
        let error = one.ask_in_vain(attempt);
        assert!(
            error.starts_with("contended") || error.starts_with("timed-out"),
            "{error}"
        );
        assert!(third.ask_in_vain("try-write a w").starts_with("contended"));
        third.ask("try-read a r");
        third.ask("release r");
    }
    reader.ask("release r");
    assert!(third.ask_in_vain("try-write a w").starts_with("contended"));
    // All that it shared it shares again, also what permits are made of.
    third.ask(&format!("sem s {} 2", stage.lock().display()));
    for permit in ["p", "q"] {
        let error = third.ask_in_vain(&format!("try-acquire s {permit}"));
        assert!(error.starts_with("contended"), "{error}");
    }
    one.ask("convert try-up u");
    assert!(third.ask_in_vain("try-read a r").starts_with("contended"));
}

fn a_downgrade_lets_readers_in_and_no_writer() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = three(&stage);
    one.ask("write a w");
    let writes = other.begin_waiting("write a w");
    one.ask("convert down w");
    assert!(!other.has_answered(writes));
    one.ask("release w");
    other.succeeds(writes);
    other.ask("convert down w");
    third.ask("read a r");
    third.ask("release r");
    other.ask("release w");
    third.ask("try-write a w");
}

fn a_downgrade_to_upgradable_keeps_other_writers_out() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = three(&stage);
    one.ask("write a w");
    one.ask("convert down-to-upgradable w");
    other.ask("try-read a r");
    assert!(
        third
            .ask_in_vain("try-upgradable a u")
            .starts_with("contended")
    );
    other.ask("release r");
    one.ask("convert try-up w");
    one.ask("release w");
    third.ask("try-write a w");
}
