//! Processes that wait for each other.

use std::path::Path;
use std::process::Command;

use crate::inspect::{file, json, locker, lockfast, until_waiting};
use crate::stage::{Actor, Outcome, Stage, deadlocked, outcome, until};

#[test]
fn three_processes_in_a_circle_are_named() {
    let stage = Stage::new();
    for kind in ["flock", "ofd"] {
        let paths = ["a", "b", "c"].map(|name| file(&stage, format!("{kind}-{name}")));
        let mut actors = [locker(), locker(), locker()];
        for (actor, path) in actors.iter_mut().zip(&paths) {
            actor.tell(&format!("{kind} {}", path.display()));
            actor.says("locked");
        }
        for number in 0..3 {
            let next = &paths[(number + 1) % 3];
            let before = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
            assert_eq!(before.code, Some(0), "{before:?}");
            assert_eq!(before.output[0], "no deadlocks");
            actors[number].tell(&format!("{kind} {}", next.display()));
            until_waiting(next, actors[number].pid());
        }
        let found = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(found.code, Some(75), "{found:?}");
        assert_eq!(found.output[0], "deadlock: 3 processes");
        for number in 0..3 {
            let next = (number + 1) % 3;
            let (pid, holder) = (actors[number].pid(), actors[next].pid());
            let path = paths[next].display();
            let is_told = |line: &&String| {
                line.starts_with(&format!("  pid {pid} ("))
                    && line.ends_with(&format!("waits for {path}, held by pid {holder}"))
            };
            assert!(found.output.iter().any(|line| is_told(&line)), "{found:?}");
        }
        let document = json(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(document["deadlocks"][0]["certain"], true);
        let steps = document["deadlocks"][0]["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 3);
        for (number, step) in steps.iter().enumerate() {
            let pid = &step["process"]["pid"];
            let pids = actors.iter().map(|actor| actor.pid().as_raw());
            let at = pids.clone().position(|actor| pid == actor);
            let next = (at.expect("one of them") + 1) % 3;
            let path = paths[next].to_str().expect("plain");
            assert_eq!(step["waits_for"]["path"], path, "{document}");
            let following = &steps[(number + 1) % 3]["process"]["pid"];
            assert_eq!(*following, actors[next].pid().as_raw());
        }
        let elsewhere = outcome(lockfast(["ls", "--deadlocks"]).arg(file(&stage, "elsewhere")));
        assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
        // If one of them dies, there is none.
        drop(actors);
        let after = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(after.code, Some(0), "{after:?}");
    }
}

/// Nested commands: each parent waits for its child, and the child for a lock.
#[test]
fn a_circle_through_nested_commands_is_found() {
    let stage = Stage::new();
    let (a, b) = (stage.path("a.lock"), stage.path("b.lock"));
    // A second thread of each reports the wait; it releases nothing.
    let actors = deadlocked([&a, &b], &[]);
    let mut found = None;
    until("it is found", || {
        let told = outcome(lockfast(["ls", "--deadlocks"]).args([&a, &b]));
        let is_found = told.code == Some(75);
        found = Some(told);
        is_found
    });
    let found: Outcome = found.expect("it was looked for");
    assert_eq!(found.output[0], "deadlock: 4 processes", "{found:?}");
    for actor in &actors {
        let parent = format!("  pid {} (", actor.pid());
        let line = found.output.iter().find(|line| line.starts_with(&parent));
        let line = line.unwrap_or_else(|| panic!("{found:?}"));
        assert!(line.contains("waits for its child to end"), "{found:?}");
    }
}

/// A program that is not from lockfast: the kernel shows that it waits for its child.
#[test]
fn a_circle_through_the_children_of_other_programs_is_found() {
    let stage = Stage::new();
    let (a, b) = (file(&stage, "a.lock"), file(&stage, "b.lock"));
    let nested = |outer: &Path, inner: &Path| {
        let text = "echo ready; read line; exec flock \"$0\" true";
        let mut command = Command::new("flock");
        // Closed, so that only the parent has it.
        let actor = Actor::start(
            command
                .arg("-o")
                .arg(outer)
                .args(["sh", "-c", text])
                .arg(inner),
        );
        actor.says("ready");
        actor
    };
    let mut actors = [nested(&a, &b), nested(&b, &a)];
    for actor in &mut actors {
        actor.tell("go");
    }
    let mut last = Vec::new();
    until("it is found", || {
        let told = outcome(lockfast(["ls", "--deadlocks"]).args([&a, &b]));
        last = told.output;
        told.code == Some(75)
    });
    assert_eq!(last[0], "deadlock: 4 processes", "{last:?}");
    for actor in &actors {
        let is_told = |line: &&String| {
            line.starts_with(&format!("  pid {} (flock -o ", actor.pid()))
                && line.contains("waits for its child to end")
        };
        assert!(last.iter().any(|line| is_told(&line)), "{last:?}");
    }
}
