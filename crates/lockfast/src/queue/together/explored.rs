//! Everything that can happen to a few parties, with the queue as it is and with a step left out.

use super::party::Role::{self, Downgrades, Reads, ReadsUpgradable, Upgrades, Writes};
use super::{EXCLUSION, ModelStep, NO_BUSY_LOOP, NO_STANDSTILL, NOTHING_LEFT, Scene};
use crate::protocol::plan::Mode;

const ROLES: [Role; 5] = [Reads, Writes, ReadsUpgradable, Upgrades, Downgrades];

const OTHERS: [Option<Mode>; 5] = [
    None,
    Some(Mode::Read),
    Some(Mode::Upgradable),
    Some(Mode::Write),
    Some(Mode::Exclusive),
];

fn scene(parties: &[(Role, u64)], other: Option<Mode>) -> Scene {
    Scene {
        parties: parties.to_vec(),
        other,
    }
}

fn keeps_every_property(parties: &[(Role, u64)], other: Option<Mode>) {
    let violated = scene(parties, other).violated(None, None);
    assert!(violated.is_none(), "{parties:?}, {other:?}: {violated:?}");
}

/// Whether that property is violated when the step is left out.
fn is_violated(
    property: &'static str,
    parties: &[(Role, u64)],
    other: Option<Mode>,
    left_out: ModelStep,
) -> bool {
    let scene = scene(parties, other);
    scene.violated(Some(left_out), Some(property)).is_some()
}

#[test]
fn two_threads_keep_every_property_with_every_kind_of_process() {
    for (number, &one) in ROLES.iter().enumerate() {
        for &two in &ROLES[number..] {
            for other in OTHERS {
                keeps_every_property(&[(one, 1), (two, 2)], other);
            }
        }
    }
}

#[test]
fn three_threads_keep_every_property_with_a_writer_elsewhere() {
    for (number, &two) in ROLES.iter().enumerate() {
        for &three in &ROLES[number..] {
            let parties = [(Reads, 1), (two, 2), (three, 3)];
            keeps_every_property(&parties, Some(Mode::Write));
        }
    }
}

/// A thread may have a guard that reads, and an upgrade that it polls or that it sent to another thread, and
/// ask for more.
#[test]
fn a_threads_first_steps_keep_every_property() {
    for third in ROLES {
        keeps_every_property(&[(Upgrades, 1), (Reads, 1), (third, 2)], Some(Mode::Write));
        keeps_every_property(&[(Upgrades, 1), (Reads, 1), (third, 2)], None);
        keeps_every_property(&[(Reads, 1), (Reads, 1), (third, 2)], Some(Mode::Write));
    }
}

#[test]
fn tasks_keep_every_property() {
    for third in ROLES {
        for other in OTHERS {
            keeps_every_property(&[(Upgrades, 0), (Reads, 0), (third, 0)], other);
        }
    }
}

/// The called reader comes when the others have left, and waits in the kernel as a newcomer, for a writer that
/// waits for the lock that the others left behind.
#[test]
fn without_calling_off_two_processes_wait_for_each_other() {
    let parties = [(Reads, 1), (Reads, 2)];
    let writer = Some(Mode::Write);
    assert!(is_violated(
        NO_STANDSTILL,
        &parties,
        writer,
        ModelStep::CallOff
    ));
    // Dropped, it leaves the lock to nobody.
    assert!(is_violated(
        NOTHING_LEFT,
        &parties,
        None,
        ModelStep::CallOff
    ));
}

#[test]
fn a_reader_that_fails_to_join_and_does_not_unlock_leaves_the_lock_to_nobody() {
    let parties = [(Reads, 1), (Reads, 2)];
    assert!(is_violated(NOTHING_LEFT, &parties, None, ModelStep::LetGo));
}

#[test]
fn a_reader_that_steps_back_and_lets_others_join_tries_over_and_over() {
    let parties = [(Reads, 1), (Reads, 2)];
    let writer = Some(Mode::Write);
    assert!(is_violated(
        NO_BUSY_LOOP,
        &parties,
        writer,
        ModelStep::Close
    ));
}

#[test]
fn a_thread_that_reads_during_its_own_upgrade_reads_with_a_writer_inside() {
    let parties = [(Upgrades, 1), (Reads, 1)];
    let step = ModelStep::RefuseDuringUpgrade;
    assert!(is_violated(EXCLUSION, &parties, None, step));
}

#[test]
fn an_upgradable_reader_that_leaves_its_byte_keeps_others_out() {
    let parties = [(Reads, 1), (ReadsUpgradable, 2)];
    assert!(is_violated(NOTHING_LEFT, &parties, None, ModelStep::Stay));
}

#[test]
fn a_wait_that_is_dropped_and_passes_nothing_on_stops_the_queue() {
    let parties = [(Reads, 1), (Reads, 2), (Writes, 3)];
    assert!(is_violated(
        NO_STANDSTILL,
        &parties,
        None,
        ModelStep::PassOn
    ));
}
