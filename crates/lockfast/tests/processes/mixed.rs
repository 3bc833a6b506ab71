//! Different primitives on one path.

use crate::stage::{Actor, Stage, waiters};
use crate::trials;

trials![
    an_upgrade_goes_before_a_permit_that_is_waited_for,
    an_upgrade_that_waits_for_readers_goes_before_a_permit,
    whatever_is_taken_of_one_path_somebody_goes_on,
];

fn opened(stage: &Stage, primitive: &str, options: &str) -> Actor {
    let mut actor = Actor::start();
    let mut open = format!("{primitive} open a {}", stage.lock().display());
    if primitive == "sem" {
        open += " 2";
    }
    actor.ask(format!("{open} {options}").trim_end());
    actor
}

const FAIRNESS: [(&str, &str); 4] = [("", ""), ("fifo", "fifo"), ("fifo", ""), ("", "fifo")];

fn an_upgrade_goes_before_a_permit_that_is_waited_for() {
    for (of_reader, of_permits) in FAIRNESS {
        let stage = Stage::new();
        let mut upgrader = opened(&stage, "rw", of_reader);
        let mut taker = opened(&stage, "sem", of_permits);
        upgrader.ask("rw upgradable a g");
        let taking = taker.begin_waiting("sem acquire a g", &stage);
        let upgrading = upgrader.begin("rw change upgrade g");
        upgrader.succeeds(upgrading);
        assert!(!taker.has_answered(taking));
        upgrader.ask("rw release g");
        taker.succeeds(taking);
    }
}

fn an_upgrade_that_waits_for_readers_goes_before_a_permit() {
    for (of_reader, of_permits) in FAIRNESS {
        let stage = Stage::new();
        let mut upgrader = opened(&stage, "rw", of_reader);
        let mut reader = opened(&stage, "rw", of_reader);
        let mut taker = opened(&stage, "sem", of_permits);
        upgrader.ask("rw upgradable a g");
        reader.ask("rw read a g");
        let upgrading = upgrader.begin_waiting("rw change upgrade g", &stage);
        let taking = taker.begin_waiting("sem acquire a g 2", &stage);
        reader.ask("rw release g");
        upgrader.succeeds(upgrading);
        assert!(!taker.has_answered(taking));
        upgrader.ask("rw release g");
        taker.succeeds(taking);
        // And the other way round: permits keep out whoever reads or writes.
        let writing = reader.begin_waiting("rw write a g", &stage);
        taker.ask("sem release g");
        reader.succeeds(writing);
    }
}

fn whatever_is_taken_of_one_path_somebody_goes_on() {
    let stage = Stage::new();
    let path = stage.lock();
    let hammers = [
        format!("rw hammer {} 100", path.display()),
        format!("hammer {} 100", path.display()),
        format!("sem hammer {} 2 100", path.display()),
    ];
    let mut running: Vec<_> = (0..6)
        .map(|number| {
            let mut actor = Actor::start();
            let pending = actor.begin(&hammers[number % hammers.len()]);
            (actor, pending)
        })
        .collect();
    for (actor, pending) in &mut running {
        actor.succeeds(*pending);
    }
    assert_eq!(waiters(&path), 0);
}
