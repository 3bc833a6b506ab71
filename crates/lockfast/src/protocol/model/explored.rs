//! The plans in the model, and plans from which something was left out.

use stateright::{Checker, Model};

use super::{
    ATOMIC_UPGRADE, EXCLUSION, NO_DEADLOCK, NO_READER_OVERTAKES, NO_STARVING_READER,
    NO_STARVING_WAITER, NOTHING_LEFT, ONE_UPGRADABLE, PROCESSES, Plans, Role, Rule, Scene,
};
use crate::protocol::plan::{self, Mode, Part, Plan, Step};
use crate::sys::Access;

/// The plans of all modes, with another one for one of them.
macro_rules! instead {
    ($mode:pat => $plan:expr, $plans:path) => {
        |mode| match mode {
            $mode => $plan,
            mode => $plans(mode),
        }
    };
}

/// Everything that can happen to these; the names of the properties that do not hold.
fn violated(roles: [Role; PROCESSES], rounds: u8, plans: Plans) -> Vec<&'static str> {
    let scene = Scene {
        roles,
        rounds,
        plans,
    };
    let checker = scene.checker().threads(2).spawn_bfs().join();
    let mut names: Vec<_> = checker.discoveries().into_keys().collect();
    names.sort_unstable();
    names
}

use Role::{Downgrader, Exclusive, Reader, Taker, Upgrader, Writer};

#[test]
fn the_plans_keep_every_property() {
    const ROLES: [Role; 5] = [Reader, Writer, Exclusive, Upgrader, Downgrader];
    for (first, &one) in ROLES.iter().enumerate() {
        for (second, &other) in ROLES.iter().enumerate().skip(first) {
            for &third in &ROLES[second..] {
                let roles = [one, other, third];
                assert_eq!(violated(roles, 2, Plans::REAL), [""; 0], "{roles:?}");
            }
        }
    }
}

#[test]
fn the_plans_keep_every_property_with_a_semaphore() {
    const OTHERS: [Role; 6] = [Reader, Writer, Exclusive, Upgrader, Downgrader, Taker];
    for (first, &one) in OTHERS.iter().enumerate() {
        for &other in &OTHERS[first..] {
            let roles = [one, other, Taker];
            assert_eq!(violated(roles, 2, Plans::REAL), [""; 0], "{roles:?}");
        }
    }
}

#[test]
fn an_upgrade_must_not_wait_for_the_permit_queue() {
    // With a waiting byte that a writer locks, too.
    let plans = Plans {
        join_queue: Plan {
            steps: &[
                Step::Lock(Access::Shared, Part::Gate),
                Step::Lock(Access::Exclusive, Part::Head),
            ],
            undo: &[Part::All],
        },
        ..Plans::REAL
    };
    let violated = violated([Upgrader, Taker, Reader], 1, plans);
    assert!(violated.contains(&NO_DEADLOCK), "{violated:?}");
}

#[test]
fn the_plans_keep_every_property_when_writers_come_again() {
    for roles in [
        [Reader, Writer, Writer],
        [Reader, Reader, Writer],
        [Reader, Writer, Upgrader],
    ] {
        assert_eq!(violated(roles, 3, Plans::REAL), [""; 0], "{roles:?}");
    }
}

#[test]
fn a_reader_that_does_not_pass_the_gate_overtakes() {
    const READ: Plan = Plan {
        steps: &[Step::Lock(Access::Shared, Part::Main)],
        undo: &[Part::All],
    };
    let plans = Plans {
        quick: instead!(Mode::Read => READ, plan::try_plan),
        patient: instead!(Mode::Read => READ, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Reader, Writer], 1, plans);
    assert!(violated.contains(&NO_READER_OVERTAKES), "{violated:?}");
}

#[test]
fn writers_that_do_not_empty_the_rooms_starve_readers() {
    const WRITE: Plan = Plan {
        steps: &[
            Step::Lock(Access::Exclusive, Part::UpgradeAndTag),
            Step::Lock(Access::Exclusive, Part::Gate),
            Step::Lock(Access::Exclusive, Part::MainToTag),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        patient: instead!(Mode::Write => WRITE, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Writer, Writer], 2, plans);
    assert!(violated.contains(&NO_STARVING_READER), "{violated:?}");
}

#[test]
fn upgraders_that_do_not_empty_the_rooms_starve_readers() {
    let plans = Plans {
        upgrade: Plan {
            steps: &[
                Step::Lock(Access::Exclusive, Part::Gate),
                Step::Lock(Access::Exclusive, Part::MainToTag),
            ],
            undo: &[Part::Gate],
        },
        ..Plans::REAL
    };
    let violated = violated([Reader, Reader, Upgrader], 2, plans);
    assert!(violated.contains(&NO_STARVING_READER), "{violated:?}");
}

#[test]
fn a_writer_that_does_not_wait_for_the_second_room_starves_readers() {
    const WRITE: Plan = Plan {
        steps: &[
            Step::Lock(Access::Exclusive, Part::UpgradeAndTag),
            Step::Lock(Access::Exclusive, Part::SecondDoor),
            Step::AwaitEmpty(Part::FirstRoom),
            Step::Lock(Access::Exclusive, Part::Gate),
            Step::Unlock(Part::SecondDoor),
            Step::Lock(Access::Exclusive, Part::MainToTag),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        patient: instead!(Mode::Write => WRITE, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Writer, Writer], 2, plans);
    assert!(violated.contains(&NO_STARVING_READER), "{violated:?}");
}

#[test]
fn a_writer_that_locks_no_door_is_overtaken_while_a_room_becomes_empty() {
    const WRITE: Plan = Plan {
        steps: &[
            Step::Lock(Access::Exclusive, Part::UpgradeAndTag),
            Step::AwaitEmpty(Part::FirstRoom),
            Step::Lock(Access::Exclusive, Part::FirstDoor),
            Step::AwaitEmpty(Part::SecondRoom),
            Step::Lock(Access::Exclusive, Part::Gate),
            Step::Unlock(Part::FirstDoor),
            Step::Lock(Access::Exclusive, Part::MainToTag),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        patient: instead!(Mode::Write => WRITE, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Reader, Writer], 4, plans);
    assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
}

#[test]
fn readers_that_pass_no_door_overtake() {
    const READ: Plan = Plan {
        steps: &[
            Step::ChooseRoom,
            Step::EnterRoom,
            Step::Lock(Access::Shared, Part::MainAndGate),
            Step::Unlock(Part::GateAndAbove),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        patient: instead!(Mode::Read => READ, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Reader, Writer], 4, plans);
    assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
}

#[test]
fn a_writer_that_overtakes_readers_in_a_room_is_alone_all_the_same() {
    let plans = Plans {
        without: Some(Rule::WaitForRooms),
        ..Plans::REAL
    };
    for roles in [
        [Reader, Reader, Writer],
        [Reader, Writer, Writer],
        [Reader, Writer, Upgrader],
        [Reader, Upgrader, Downgrader],
    ] {
        let mut violated = violated(roles, 2, plans);
        violated.retain(|&name| name != NO_STARVING_READER);
        assert_eq!(violated, [""; 0], "{roles:?}");
    }
}

#[test]
fn without_the_upgrade_byte_two_upgraders_block_each_other() {
    const UPGRADABLE: Plan = Plan {
        steps: &[
            Step::Lock(Access::Shared, Part::MainAndGate),
            Step::Unlock(Part::Gate),
        ],
        undo: &[Part::All],
    };
    let plan_of = |mode| match mode {
        Mode::Upgradable => UPGRADABLE,
        mode => plan::try_plan(mode),
    };
    let plans = Plans {
        quick: plan_of,
        patient: plan_of,
        ..Plans::REAL
    };
    let violated = violated([Upgrader, Upgrader, Reader], 1, plans);
    assert!(violated.contains(&NO_DEADLOCK), "{violated:?}");
    assert!(violated.contains(&ONE_UPGRADABLE), "{violated:?}");
}

#[test]
fn an_upgrade_that_lets_go_is_not_atomic() {
    let plans = Plans {
        upgrade: Plan {
            steps: &[
                Step::Unlock(Part::All),
                Step::Lock(Access::Exclusive, Part::MainToTag),
            ],
            undo: &[Part::Gate],
        },
        ..Plans::REAL
    };
    let violated = violated([Upgrader, Writer, Reader], 1, plans);
    assert!(violated.contains(&ATOMIC_UPGRADE), "{violated:?}");
}

#[test]
fn a_plan_that_undoes_too_little_leaves_locks() {
    let plans = Plans {
        patient: |mode| Plan {
            undo: &[Part::Gate],
            ..plan::wait_plan(mode)
        },
        ..Plans::REAL
    };
    let violated = violated([Writer, Writer, Reader], 1, plans);
    assert!(violated.contains(&NOTHING_LEFT), "{violated:?}");
}

#[test]
fn a_reader_that_locks_nothing_of_main_is_not_excluded() {
    const READ: Plan = Plan {
        steps: &[
            Step::Lock(Access::Shared, Part::Gate),
            Step::Unlock(Part::Gate),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        quick: instead!(Mode::Read => READ, plan::try_plan),
        ..Plans::REAL
    };
    let violated = violated([Reader, Writer, Reader], 1, plans);
    assert!(violated.contains(&EXCLUSION), "{violated:?}");
}

/// Without one of the rules of the line.
fn violated_without(rule: Rule, all: [Role; PROCESSES]) -> Vec<&'static str> {
    let plans = Plans {
        without: Some(rule),
        ..Plans::REAL
    };
    violated(all, 3, plans)
}

#[test]
fn newcomers_that_do_not_look_starve_waiters() {
    for roles in [
        [Exclusive, Exclusive, Exclusive],
        [Writer, Writer, Writer],
        [Upgrader, Upgrader, Writer],
        [Reader, Reader, Writer],
        [Reader, Reader, Upgrader],
    ] {
        let violated = violated_without(Rule::Look, roles);
        assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
    }
}

#[test]
fn waiters_that_do_not_stand_in_line_starve_each_other() {
    let violated = violated_without(Rule::StandInLine, [Exclusive, Exclusive, Exclusive]);
    assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
}

#[test]
fn a_waiter_that_takes_its_sign_in_too_early_starves() {
    let violated = violated_without(Rule::KeepSign, [Exclusive, Exclusive, Exclusive]);
    assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
}

#[test]
fn newcomers_that_do_not_let_the_line_move_starve_the_next() {
    for roles in [[Exclusive, Exclusive, Exclusive], [Writer, Writer, Writer]] {
        let violated = violated_without(Rule::LetLineMove, roles);
        assert!(violated.contains(&NO_STARVING_WAITER), "{violated:?}");
    }
}

#[test]
fn who_has_what_others_wait_for_must_not_stand_in_line() {
    const WRITE: Plan = Plan {
        steps: &[
            Step::Lock(Access::Exclusive, Part::UpgradeAndTag),
            Step::Contend(Access::Exclusive, Part::MainToTag),
        ],
        undo: &[Part::All],
    };
    let plans = Plans {
        patient: instead!(Mode::Write => WRITE, plan::wait_plan),
        ..Plans::REAL
    };
    let violated = violated([Upgrader, Writer, Exclusive], 2, plans);
    assert!(violated.contains(&NO_DEADLOCK), "{violated:?}");
}

#[test]
fn an_upgrade_must_not_stand_in_line() {
    let plans = Plans {
        upgrade: Plan {
            steps: &[Step::Contend(Access::Exclusive, Part::MainToTag)],
            undo: &[Part::Gate],
        },
        ..Plans::REAL
    };
    let violated = violated([Upgrader, Writer, Reader], 2, plans);
    assert!(violated.contains(&NO_DEADLOCK), "{violated:?}");
}
