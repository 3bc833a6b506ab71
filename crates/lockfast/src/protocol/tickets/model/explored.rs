//! The tickets in the model, and tickets from which something was left out.

use stateright::{Checker, HasDiscoveries, Model};

use super::{Flaw, NO_DEADLOCK, NO_OVERTAKING, NOTHING_LEFT, PROCESSES, Role, Scene};

/// Everything that can happen to these; the names of the properties that do not hold.
fn violated(roles: [Role; PROCESSES], rounds: [u8; PROCESSES], flaw: Flaw) -> Vec<&'static str> {
    let scene = Scene {
        roles,
        rounds,
        flaw,
    };
    let checker = scene
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .threads(2)
        .spawn_bfs()
        .join();
    let mut names: Vec<_> = checker.discoveries().into_keys().collect();
    names.sort_unstable();
    names
}

use Role::{Barging, Downgrader, Exclusive, Foreign, ForeignReader, Reader, Upgrader, Writer};

#[test]
fn tickets_keep_every_property() {
    const ROLES: [Role; 4] = [Reader, Writer, Exclusive, Upgrader];
    for (first, &one) in ROLES.iter().enumerate() {
        for (second, &other) in ROLES.iter().enumerate().skip(first) {
            for &third in &ROLES[second..] {
                let roles = [one, other, third];
                assert_eq!(violated(roles, [1; 3], Flaw::None), [""; 0], "{roles:?}");
            }
        }
    }
    for roles in [
        [Reader, Writer, Downgrader],
        [Reader, Exclusive, Downgrader],
        [Reader, Upgrader, Downgrader],
        [Writer, Upgrader, Downgrader],
    ] {
        assert_eq!(violated(roles, [1; 3], Flaw::None), [""; 0], "{roles:?}");
    }
}

#[test]
fn tickets_keep_every_property_when_one_comes_again() {
    for roles in [
        [Exclusive, Exclusive, Exclusive],
        [Reader, Reader, Writer],
        [Reader, Writer, Exclusive],
        [Writer, Reader, Reader],
    ] {
        assert_eq!(violated(roles, [2, 1, 1], Flaw::None), [""; 0], "{roles:?}");
    }
}

#[test]
#[ignore = "takes minutes"]
fn tickets_keep_every_property_when_all_come_again() {
    for roles in [
        [Exclusive, Exclusive, Exclusive],
        [Reader, Reader, Writer],
        [Reader, Writer, Exclusive],
    ] {
        assert_eq!(violated(roles, [2; 3], Flaw::None), [""; 0], "{roles:?}");
    }
}

#[test]
fn tickets_keep_every_property_with_programs_that_have_none() {
    for other in [Barging, Foreign, ForeignReader] {
        for roles in [
            [other, Exclusive, Exclusive],
            [other, Reader, Writer],
            [other, Reader, Upgrader],
            [other, Writer, Upgrader],
        ] {
            assert_eq!(violated(roles, [2, 1, 1], Flaw::None), [""; 0], "{roles:?}");
        }
    }
    // The reader lines up behind the first round of the writer, and the program comes then.
    let roles = [ForeignReader, Reader, Exclusive];
    assert_eq!(violated(roles, [1, 1, 2], Flaw::None), [""; 0]);
}

/// Each step that is left out, and the properties that do not hold then.
#[test]
fn each_step_is_needed() {
    let flaws = [
        (
            Flaw::Barges,
            [Exclusive, Exclusive, Exclusive],
            NO_OVERTAKING,
        ),
        (Flaw::Barges, [Reader, Reader, Writer], NO_OVERTAKING),
        (
            Flaw::TrustsTheClock,
            [Exclusive, Exclusive, Exclusive],
            NO_OVERTAKING,
        ),
        (
            Flaw::BelievesTheWakeUp,
            [Exclusive, Exclusive, Exclusive],
            NO_OVERTAKING,
        ),
        (
            Flaw::DropsEarly,
            [Exclusive, Exclusive, Exclusive],
            NO_OVERTAKING,
        ),
        (
            Flaw::IgnoresReaders,
            [Reader, Writer, Writer],
            NO_OVERTAKING,
        ),
        (
            Flaw::UpgradesInLine,
            [Reader, Writer, Upgrader],
            NO_DEADLOCK,
        ),
        (
            Flaw::LeavesItsTicket,
            [Exclusive, Exclusive, Exclusive],
            NOTHING_LEFT,
        ),
    ];
    for (flaw, roles, property) in flaws {
        let violated = violated(roles, [2, 1, 1], flaw);
        assert!(violated.contains(&property), "{flaw:?}: {violated:?}");
    }
}
