//! Programs that know nothing of locks that linger, and want one.

use std::fs;

use libtest_mimic::Trial;
use lockfast_testing::{trial, trial_needing};

use super::{LONG, keep, keepers};
use crate::interop::peer::{
    FASTENERS, FILELOCK, FLOCK_UTILITY, Family, LOCKF, PORTALOCKER, Peer, STD,
};
use crate::stage::{Actor, Stage, until};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "linger::visitors::a_polling_process_gets_in_when_the_time_is_over",
            a_polling_process_gets_in_when_the_time_is_over,
        ),
        trial(
            "linger::visitors::a_waiter_without_a_signal_is_found",
            a_waiter_without_a_signal_is_found,
        ),
    ];
    for peer in [LOCKF, FASTENERS, FLOCK_UTILITY, FILELOCK, PORTALOCKER, STD] {
        let own = match peer.family {
            Family::Record => "fcntl",
            Family::Flock => "flock",
        };
        for protocol in [own, "both"] {
            let name = format!("linger::visitors::{protocol}_{}", peer.name);
            trials.push(trial_needing!(&name, peer.available(), move || {
                it_is_given_up_for(&peer, protocol);
            }));
        }
    }
    trials
}

/// A program that has the file open as `f` before any keeper watches it, so that it is not heard.
pub(super) fn unheard(stage: &Stage) -> Actor {
    fs::write(stage.lock(), "").expect("a file");
    let mut program = Actor::start();
    program.ask(&format!("hold-open f {}", stage.lock().display()));
    program
}

/// Waits until it keeps the lock, which one that is used does by itself.
fn until_kept(keeper: &mut Actor, stage: &Stage, is_used: bool) {
    until("a lock that is kept", || {
        if !is_used {
            keeper.ask("lock a g");
            keeper.ask("release g");
        }
        keepers(stage) == 1
    });
}

/// It has the file open all the time, and so can't be heard.
fn a_polling_process_gets_in_when_the_time_is_over() {
    for is_used in [false, true] {
        let stage = Stage::new();
        let mut poller = unheard(&stage);
        let mut keeper = Actor::with_lock(&stage, "linger=100");
        if is_used {
            keeper.ask("relock-in-threads a 1");
        }
        for _ in 0..2 {
            until_kept(&mut keeper, &stage, is_used);
            until("the poller inside", || {
                let attempt = poller.begin("classic f exclusive");
                poller.answers(attempt).is_ok()
            });
            if is_used {
                nobody_else_is_inside(&mut keeper);
            }
            poller.ask("classic f none");
        }
    }
}

/// It has the file open before it waits, even before the keeper has, and the time is never over.
fn a_waiter_without_a_signal_is_found() {
    for (is_used, is_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let stage = Stage::new();
        let (mut keeper, mut waiter);
        if is_first {
            waiter = unheard(&stage);
            keeper = Actor::with_lock(&stage, LONG);
        } else {
            keeper = Actor::with_lock(&stage, LONG);
            waiter = unheard(&stage);
        }
        if is_used {
            keeper.ask("relock-in-threads a 1");
        }
        for _ in 0..2 {
            until_kept(&mut keeper, &stage, is_used);
            waiter.ask("classic f exclusive-wait");
            if is_used {
                nobody_else_is_inside(&mut keeper);
            }
            waiter.ask("classic f none");
        }
    }
}

/// Also while the keeper takes it over and over.
fn it_is_given_up_for(peer: &Peer, protocol: &str) {
    for is_used in [false, true] {
        let stage = Stage::new();
        let mut keeper = super::keeper(&stage, &format!("protocol={protocol}"));
        if is_used {
            // Now and then, so that one who asks now and then has a chance.
            keeper.ask("relock-in-threads a 1 1");
        }
        let mut foreign = peer.start(&stage);
        for _ in 0..3 {
            if !is_used {
                keep(&mut keeper, &stage);
            }
            foreign.ask("lock exclusive");
            if is_used {
                nobody_else_is_inside(&mut keeper);
            } else {
                assert!(keeper.ask_in_vain("try a g").starts_with("contended:"));
            }
            foreign.ask("release");
        }
    }
}

/// The threads of the keeper count while they are inside.
#[track_caller]
fn nobody_else_is_inside(keeper: &mut Actor) {
    let before = keeper.ask("relocked");
    for _ in 0..20 {
        assert_eq!(keeper.ask("relocked"), before);
    }
}
