//! Processes in the middle of anything are killed at random and replaced: nobody ever overlaps,
//! nobody is stuck, and nothing is lost.
//!
//! `cargo xtask soak` kills many more.

use std::collections::BTreeMap;

use crate::diary::{self, Entry, Role};
use crate::stage::{Actor, Pending, Stage, held_at, until};
use crate::{semaphore, trials};

trials![
    lockers_are_killed,
    readers_writers_and_upgraders_are_killed,
    permit_holders_are_killed,
    waiters_in_a_strict_order_are_killed,
    waiters_for_permits_in_a_strict_order_are_killed,
];

/// How many tests share the kills: these, and one of `owner`.
const TESTS: usize = 6;

fn lockers_are_killed() {
    let stage = Stage::new();
    let commands = [
        "hammer PATH 1000000000",
        "hammer-timed PATH 1000000000 remove",
        "hammer-open PATH 1000000000",
        "hammer PATH 1000000000 remove",
    ];
    let chaos = Chaos::start(&stage, &commands, 4, 1);
    chaos.run(&[Role::WaitsToLock, Role::Locks], |_| {});
    Actor::with_lock(&stage, "").ask("try a g");
}

fn readers_writers_and_upgraders_are_killed() {
    let stage = Stage::new();
    let commands = [
        "rw hammer PATH 1000000000",
        "rw hammer PATH 1000000000 remove",
        "rw hammer PATH 1000000000",
        "hammer PATH 1000000000",
    ];
    Chaos::start(&stage, &commands, 4, 1).run(Role::of_locks(), |_| {});
    Actor::with_lock(&stage, "").ask("try a g");
}

fn permit_holders_are_killed() {
    let stage = Stage::new();
    let mut visitor = Actor::start();
    visitor.ask(&semaphore::open(&stage, 3, ""));
    let chaos = Chaos::start(&stage, &["sem hammer PATH 3 1000000000"], 6, 2);
    chaos.run(&Role::OF_PERMITS, |kill| {
        // Were a permit lost, all three would never be had.
        visitor.ask(&format!("sem visit a {}", kill % 3 + 1));
    });
    assert_eq!(held_at(&stage.lock(), semaphore::WAITING), 0);
    assert_eq!(visitor.ask("sem available a"), "3");
    visitor.ask("sem try a g 3");
}

fn waiters_in_a_strict_order_are_killed() {
    let stage = Stage::new();
    let commands = [
        "rw hammer PATH 1000000000 fifo",
        "hammer-timed PATH 1000000000 fifo",
        "hammer PATH 1000000000 fifo",
        "rw hammer PATH 1000000000",
        "rw hammer PATH 1000000000 fifo",
    ];
    Chaos::start(&stage, &commands, 6, 1).run(Role::of_locks(), |_| {});
    Actor::with_lock(&stage, "fifo").ask("try a g");
}

fn waiters_for_permits_in_a_strict_order_are_killed() {
    let stage = Stage::new();
    let mut visitor = Actor::start();
    visitor.ask(&semaphore::open(&stage, 3, "fifo"));
    let chaos = Chaos::start(&stage, &["sem hammer PATH 3 1000000000 fifo"], 6, 2);
    chaos.run(&Role::OF_PERMITS, |kill| {
        visitor.ask(&format!("sem visit a {}", kill % 3 + 1));
    });
    visitor.ask("sem try a g 3");
}

/// Processes that hammer at one lock.
struct Chaos<'a> {
    stage: &'a Stage,
    /// Their commands, one after the other.
    commands: &'a [&'a str],
    /// How many threads each has.
    threads: usize,
    running: Vec<Victim>,
    killed: BTreeMap<Role, usize>,
}

struct Victim {
    actor: Actor,
    hammering: Pending,
    /// How many rounds each thread had done at the last kill.
    rounds: Vec<u64>,
}

impl<'a> Chaos<'a> {
    fn start(stage: &'a Stage, commands: &'a [&'a str], processes: usize, threads: usize) -> Self {
        let mut chaos = Self {
            stage,
            commands,
            threads,
            running: Vec::new(),
            killed: BTreeMap::new(),
        };
        chaos.running = (0..processes).map(|number| chaos.victim(number)).collect();
        chaos
    }

    fn victim(&self, number: usize) -> Victim {
        let mut actor = Actor::start();
        let path = self.stage.lock().display().to_string();
        let command = self.commands[number % self.commands.len()].replace("PATH", &path);
        let hammering = actor.begin(&command);
        Victim {
            actor,
            hammering,
            rounds: vec![0; self.threads],
        }
    }

    /// Kills one after the other, with something done before each kill, and in the end all of them.
    /// If many are killed, each of the roles must be among theirs.
    fn run(mut self, roles: &[Role], mut before: impl FnMut(usize)) {
        let kills = kills();
        for kill in 0..kills {
            before(kill);
            let at = kill % self.running.len();
            // Its successor was started by the last kill, and may still be starting.
            let newest = kill.checked_sub(1).map(|last| last % self.running.len());
            self.all_get_on(newest, kill as u64 % 7);
            // Each victim's successor is of another kind.
            let successor = self.victim(kill / 3);
            let victim = std::mem::replace(&mut self.running[at], successor);
            self.kill(victim);
        }
        self.all_get_on(None, 0);
        eprintln!("{kills} were killed: {}", self.report());
        if kills >= ENOUGH {
            for role in roles {
                assert!(
                    self.killed.contains_key(role),
                    "nobody {role}: {}",
                    self.report()
                );
            }
        }
        for victim in std::mem::take(&mut self.running) {
            self.kill(victim);
        }
    }

    /// Waits until each thread has done more rounds than so many since the last kill.
    fn all_get_on(&mut self, but: Option<usize>, some: u64) {
        let (lock, threads) = (self.stage.lock(), self.threads);
        for (number, victim) in self.running.iter_mut().enumerate() {
            if Some(number) == but {
                continue;
            }
            let mut now = Vec::new();
            until("all get on after a kill", || {
                victim.must_be_hammering();
                now = diary::entries(&lock, victim.actor.pid());
                let has_gone_on = |(now, &before): (&Entry, _)| now.rounds > before + some;
                now.len() == threads && now.iter().zip(&victim.rounds).all(has_gone_on)
            });
            victim.rounds = now.iter().map(|entry| entry.rounds).collect();
        }
    }

    fn kill(&mut self, mut victim: Victim) {
        victim.must_be_hammering();
        victim.actor.kill();
        let (lock, pid) = (self.stage.lock(), victim.actor.pid());
        let died = diary::entries(&lock, pid);
        for role in died.iter().filter_map(|entry| entry.role) {
            *self.killed.entry(role).or_default() += 1;
        }
        diary::forget(&lock, pid);
    }

    fn report(&self) -> String {
        let part = |(role, times)| format!("{times} {role}");
        let parts: Vec<_> = self.killed.iter().map(part).collect();
        parts.join(", ")
    }
}

impl Victim {
    fn must_be_hammering(&mut self) {
        let failed = self.actor.has_answered(self.hammering);
        assert!(!failed, "{}", self.actor.fails(self.hammering));
    }
}

/// How often a process is killed in each test: its share of `LOCKFAST_KILLS`.
pub(crate) fn kills() -> usize {
    let in_all = match std::env::var("LOCKFAST_KILLS") {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => 6_000,
    };
    usize::div_ceil(in_all, TESTS)
}

/// So many kills that each role is among the killed.
pub(crate) const ENOUGH: usize = 1_000;
