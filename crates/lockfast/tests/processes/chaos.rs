//! Processes in the middle of anything are killed at random and replaced: nobody ever overlaps,
//! and the others always get on.
//!
//! `cargo xtask soak` kills many more.

use crate::stage::{Actor, Pending, Place, until};
use crate::trials;
use crate::witness::Witness;

trials![lockers_are_killed, readers_writers_and_upgraders_are_killed];

fn lockers_are_killed() {
    let commands = [
        "hammer",
        "hammer-timed remove",
        "hammer-open",
        "hammer remove",
    ];
    kill_at_random(&commands);
}

fn readers_writers_and_upgraders_are_killed() {
    kill_at_random(&["rw hammer", "rw hammer remove", "rw hammer", "hammer"]);
}

/// How often a process is killed in each test.
fn kills() -> usize {
    match std::env::var("LOCKFAST_KILLS") {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => 1_000,
    }
}

fn kill_at_random(commands: &[&str]) {
    let place = Place::new();
    let witness = Witness::beside(&place.lock()).expect("the witness");
    let start = |number: usize| -> (Actor, Pending) {
        let mut actor = Actor::start();
        let command = commands[number % commands.len()];
        let (command, options) = match command.strip_suffix(" remove") {
            Some(command) => (command, "remove"),
            None => (command, ""),
        };
        let hammer = format!("{command} {} 1000000 {options}", place.lock().display());
        let pending = actor.begin(hammer.trim_end());
        (actor, pending)
    };
    let mut actors: Vec<_> = (0..4).map(start).collect();
    for kill in 0..kills() {
        let count = witness.count().expect("its count");
        let some = u64::try_from(kill % 7).expect("small");
        until("progress after a kill", || {
            witness.count().expect("its count") > count + some
        });
        // Each victim's successor is of another kind.
        let victim = kill % actors.len();
        let (mut actor, pending) = std::mem::replace(&mut actors[victim], start(kill / 3));
        assert!(!actor.has_answered(pending), "{}", actor.fails(pending));
        actor.kill();
    }
    for (actor, pending) in &mut actors {
        assert!(!actor.has_answered(*pending), "{}", actor.fails(*pending));
    }
}
