//! All orders of the steps: what holds, and what breaks when one thing is left out.

use stateright::{Checker, Model};

use super::{NOBODY_SLEEPS, NONE_IS_LOST, Scene};

/// The properties that do not hold.
fn broken(scene: Scene) -> Vec<&'static str> {
    let checker = scene.checker().spawn_bfs().join();
    assert!(checker.is_done());
    let mut broken: Vec<_> = checker.discoveries().into_keys().collect();
    broken.sort_unstable();
    broken
}

#[test]
fn nobody_sleeps_for_a_free_lock() {
    for permits in 1..=3 {
        for wants in [
            [1, 1, 1],
            [1, 1, permits],
            [permits, permits, 1],
            [permits; 3],
        ] {
            let scene = Scene::of(permits, wants);
            assert!(broken(scene).is_empty(), "{permits} {wants:?}");
        }
    }
}

#[test]
fn a_kill_loses_no_permit_and_no_wake_up() {
    for (permits, wants) in [
        (1, [1, 1, 1]),
        (2, [1, 1, 1]),
        (2, [1, 1, 2]),
        (2, [2, 2, 1]),
        (3, [2, 2, 2]),
    ] {
        let scene = Scene::deadly(permits, wants);
        assert!(broken(scene).is_empty(), "{permits} {wants:?}");
    }
}

#[test]
fn a_notifier_made_after_the_last_look_is_too_late() {
    let scene = Scene {
        hangs_first: false,
        ..Scene::of(1, [1; 3])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn a_look_before_the_release_is_too_early() {
    let scene = Scene {
        unlocks_first: false,
        ..Scene::of(1, [1; 3])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn unused_permits_must_notify_when_they_are_given_back() {
    let scene = Scene {
        gives_back_quietly: true,
        ..Scene::of(2, [2, 2, 1])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn a_death_must_notify() {
    let scene = Scene {
        dies_quietly: true,
        ..Scene::deadly(1, [1; 3])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn a_single_look_after_a_death_notified_is_too_early() {
    let scene = Scene {
        looks_again_when_rung: false,
        ..Scene::deadly(1, [1; 3])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn a_death_before_the_notifier_was_made_must_be_looked_for() {
    let scene = Scene {
        looks_again_when_hung: false,
        ..Scene::deadly(1, [1; 3])
    };
    assert_eq!(broken(scene), [NOBODY_SLEEPS]);
}

#[test]
fn a_descriptor_that_outlives_its_process_keeps_the_permit() {
    let scene = Scene {
        drops_locks: false,
        ..Scene::deadly(1, [1; 3])
    };
    assert_eq!(broken(scene), [NONE_IS_LOST, NOBODY_SLEEPS]);
}
