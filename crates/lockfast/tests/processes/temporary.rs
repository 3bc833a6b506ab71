//! `remove_on_release` where readers share a lock that the kernel can't convert.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    a_reader_that_leaves_keeps_the_file_for_the_others,
    readers_and_writers_exclude_each_other_while_the_file_is_removed,
];

fn actor(stage: &Stage, options: &str) -> Actor {
    let mut actor = Actor::start();
    actor.ask(&format!("rw open a {} {options}", stage.lock().display()));
    actor
}

fn a_reader_that_leaves_keeps_the_file_for_the_others() {
    for (first, second) in [
        ("flock", "flock"),
        ("both", "both"),
        ("both", "flock"),
        ("flock", "both"),
    ] {
        let stage = Stage::new();
        let mut one = actor(&stage, &format!("protocol={first} remove"));
        let mut other = actor(&stage, &format!("protocol={second} remove"));
        one.ask("rw read a g");
        other.ask("rw read a g");
        one.ask("rw release g");
        assert!(stage.lock().exists(), "{first} beside {second}");
        let mut writer = actor(&stage, &format!("protocol={second}"));
        let told = writer.ask_in_vain("rw try-write a g");
        assert!(told.starts_with("contended:"), "{told}");
        other.ask("rw release g");
        assert!(!stage.lock().exists(), "{second} after {first}");
        writer.ask("rw try-write a g");
        assert!(stage.lock().exists());
    }
}

fn readers_and_writers_exclude_each_other_while_the_file_is_removed() {
    for protocol in ["flock", "both"] {
        let stage = Stage::new();
        let hammer = format!(
            "rw hammer-plain {} 200 protocol={protocol} remove",
            stage.lock().display()
        );
        let mut running: Vec<_> = (0..6)
            .map(|_| {
                let mut actor = Actor::start();
                let pending = actor.begin(&hammer);
                (actor, pending)
            })
            .collect();
        for (actor, pending) in &mut running {
            actor.succeeds(*pending);
        }
    }
}
