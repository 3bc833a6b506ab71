//! Locks that linger: kept while nobody wants them, and no longer.

mod ends;
mod refused;
mod visitors;

use libtest_mimic::Trial;
use lockfast_testing::trial;
use nix::sys::signal::Signal;

use crate::exclusion::hammer_by_eight;
use crate::stage::{Actor, Stage, held_from, holders, until, until_stopped};
use crate::witness::Witness;

/// Longer than any test takes.
const LONG: &str = "linger=for-ever";

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        keeping(),
        ends::trials(),
        refused::trials(),
        visitors::trials(),
    ];
    trials.into_iter().flatten().collect()
}

macro_rules! keeping {
    ($($name:ident),* $(,)?) => {
        fn keeping() -> Vec<Trial> {
            vec![$(trial(concat!("linger::", stringify!($name)), $name)),*]
        }
    };
}

keeping![
    is_kept_and_given_up_for_every_sort_of_visitor,
    is_given_up_at_the_release_when_a_thread_is_inside,
    another_handle_of_the_process_is_a_visitor_too,
    keepers_and_others_lose_no_count,
    neither_of_two_keepers_starves,
    readers_keep_it_together_until_somebody_writes,
    a_kept_lock_is_not_in_the_way_of_its_own_process,
    a_waiter_is_known_by_its_sign,
    a_waiter_beside_a_keeper_is_known,
];

fn keeper(stage: &Stage, options: &str) -> Actor {
    let mut keeper = Actor::with_lock(stage, &format!("{LONG} {options}"));
    keep(&mut keeper, stage);
    keeper
}

/// Has it lock, release and keep.
fn keep(keeper: &mut Actor, stage: &Stage) {
    // Not when somebody wanted it a moment ago.
    until("a lock that is kept", || {
        keeper.ask("lock a g");
        keeper.ask("release g");
        keepers(stage) > 0
    });
}

/// How many have a shared lock of the whole range by which they tell that they keep it.
fn keepers(stage: &Stage) -> usize {
    const SIGNS: u64 = (1 << 62) + (1 << 61) + (1 << 60) + (1 << 57) + 1;
    held_from(&stage.lock(), SIGNS)
}

fn is_kept_and_given_up_for_every_sort_of_visitor() {
    for protocol in ["fcntl", "flock", "both"] {
        let options = format!("protocol={protocol}");
        for command in ["lock a g", "for a g 3600000", "try a g"] {
            let stage = Stage::new();
            let mut visitor = Actor::with_lock(&stage, &options);
            let mut keeper = keeper(&stage, &options);
            // An attempt gives the keeper a millisecond, which can be too little on a busy machine; but
            // then the next one finds it gone.
            until("a keeper that gives it up", || visitor.attempts(command));
            assert!(keeper.ask_in_vain("try a g").starts_with("contended:"));
            visitor.ask("release g");
            // The keeper gives its sign back after a lock of `flock`, by another call.
            until("nothing kept", || holders(&stage.lock()) == 0);
            keep(&mut keeper, &stage);
            keeper.ask("lock a g");
            let refused = visitor.ask_in_vain("try a g");
            assert!(refused.starts_with("contended:"), "{protocol} {refused}");
        }
    }
}

fn is_given_up_at_the_release_when_a_thread_is_inside() {
    let stage = Stage::new();
    let mut visitor = Actor::with_lock(&stage, "");
    let mut keeper = keeper(&stage, "");
    keeper.ask("lock a g");
    let waiting = visitor.begin_waiting("lock a g", &stage);
    assert!(!visitor.has_answered(waiting));
    keeper.ask("release g");
    visitor.succeeds(waiting);
}

fn another_handle_of_the_process_is_a_visitor_too() {
    let stage = Stage::new();
    let mut keeper = keeper(&stage, "");
    keeper.ask(&format!("open b {} {LONG}", stage.lock().display()));
    for _ in 0..3 {
        for name in ["a", "b"] {
            keeper.ask(&format!("lock {name} g"));
            keeper.ask("release g");
        }
    }
}

fn keepers_and_others_lose_no_count() {
    for options in ["linger=50", "linger=1", "linger=50 protocol=flock"] {
        hammer_by_eight("hammer", options, 1_000);
    }
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..4).map(|_| Actor::start()).collect();
    let options = ["linger=50", "", "linger=1", LONG];
    let commands = [
        "hammer",
        "hammer-timed",
        "hammer-threads 3",
        "hammer-threads 2",
    ];
    let hammering: Vec<_> = (actors.iter_mut().enumerate())
        .map(|(number, actor)| {
            let (command, options) = (commands[number], options[number]);
            let hammer = format!("{command} {} 1000 {options}", stage.lock().display());
            actor.begin(hammer.trim_end())
        })
        .collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&stage.lock()).expect("the witness");
    assert_eq!(witness.count().expect("its count"), (1 + 1 + 3 + 2) * 1000);
}

fn neither_of_two_keepers_starves() {
    let stage = Stage::new();
    let mut greedy = Actor::with_lock(&stage, LONG);
    let mut other = Actor::with_lock(&stage, LONG);
    greedy.ask("relock-in-threads a 1");
    for _ in 0..200 {
        other.ask("lock a g");
        other.ask("release g");
    }
    // And the other way round: what the greedy one wants is not kept from it.
    let mut third = Actor::with_lock(&stage, LONG);
    other.ask("relock-in-threads a 1");
    for _ in 0..50 {
        third.ask("lock a g");
        third.ask("release g");
    }
}

fn readers_keep_it_together_until_somebody_writes() {
    for options in ["", "protocol=flock"] {
        let stage = Stage::new();
        let open = |actor: &mut Actor| {
            let open = format!("rw open a {} {LONG} {options}", stage.lock().display());
            actor.ask(open.trim_end());
        };
        let mut writer = Actor::start();
        open(&mut writer);
        let mut readers: Vec<_> = (0..3).map(|_| Actor::start()).collect();
        readers.iter_mut().for_each(open);
        for command in [
            "rw write a g",
            "rw try-write a g",
            "rw write-for a g 3600000",
        ] {
            until("three that keep it", || {
                for reader in &mut readers {
                    reader.ask("rw read a g");
                    reader.ask("rw release g");
                }
                keepers(&stage) == 3
            });
            let waiting = writer.begin(command);
            match writer.answers(waiting) {
                Ok(_) => {}
                // Three may take longer than an attempt waits.
                Err(error) if command.contains("try") => {
                    assert!(error.starts_with("contended:"), "{error}");
                    until("the writer inside", || {
                        let again = writer.begin(command);
                        writer.answers(again).is_ok()
                    });
                }
                Err(error) => panic!("{command}: {error}"),
            }
            for reader in &mut readers {
                let refused = reader.ask_in_vain("rw try-read a g");
                assert!(refused.starts_with("contended:"), "{refused}");
            }
            writer.ask("rw release g");
        }
    }
}

fn a_kept_lock_is_not_in_the_way_of_its_own_process() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let mut other = Actor::start();
    // It keeps nothing itself: an attempt may find that held.
    other.ask(&format!("rw open a {}", stage.lock().display()));
    actor.ask(&format!("rw open a {} {LONG}", stage.lock().display()));
    let ways = [
        "read",
        "try-read",
        "upgradable",
        "try-upgradable",
        "write",
        "try-write",
    ];
    for first in ways {
        for second in ways {
            actor.ask(&format!("rw {first} a g"));
            actor.ask("rw release g");
            actor.ask(&format!("rw {second} a g"));
            if second.contains("write") {
                let refused = other.ask_in_vain("rw try-read a g");
                assert!(
                    refused.starts_with("contended:"),
                    "{first} {second} {refused}"
                );
            } else {
                other.ask("rw read a g");
                other.ask("rw release g");
            }
            actor.ask("rw release g");
        }
    }
    // What is kept to read is no reader that an upgrade would wait for.
    actor.ask("rw upgradable a u");
    actor.ask("rw read a g");
    actor.ask("rw release g");
    actor.ask("rw change try-upgrade u");
    actor.ask("rw change downgrade u");
    actor.ask("rw release u");
    // From a writer that came by the lane.
    until("a lock that is kept", || {
        actor.ask("rw write a g");
        actor.ask("rw release g");
        holders(&stage.lock()) > 0
    });
    actor.ask("rw write a g");
    actor.ask("rw change downgrade g");
    other.ask("rw read a g");
    other.ask("rw release g");
    actor.ask("rw release g");
}

/// So nobody begins to keep it while another waits, even one that no bell can wake.
fn a_waiter_is_known_by_its_sign() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let mut waiter = Actor::with_lock(&stage, "");
    let waiting = waiter.begin_waiting("lock a g", &stage);
    waiter.signal(Signal::SIGSTOP);
    until_stopped(&waiter);
    let mut keeper = Actor::with_lock(&stage, LONG);
    let keeping = keeper.begin_waiting("lock a g", &stage);
    holder.ask("release g");
    // The other one was woken, but does not run.
    keeper.succeeds(keeping);
    keeper.ask("release g");
    assert_eq!(keepers(&stage), 0);
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
}

/// Also for a waiter that found the lock kept, and so could not show its sign.
fn a_waiter_beside_a_keeper_is_known() {
    let stage = Stage::new();
    let mut waiter = Actor::with_lock(&stage, "");
    let mut keeper = keeper(&stage, "");
    keeper.ask("lock a g");
    until("the sign of a keeper", || keepers(&stage) == 1);
    let waiting = waiter.begin_waiting("lock a g", &stage);
    waiter.signal(Signal::SIGSTOP);
    until_stopped(&waiter);
    let mut again = || {
        keeper.ask("release g");
        keeper.ask("lock a g");
        keepers(&stage)
    };
    // The ring may not be heard yet, but then nobody keeps it again.
    until("a lock that is given up", || again() == 0);
    for _ in 0..200 {
        assert_eq!(again(), 0);
    }
    keeper.ask("release g");
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
}
