//! The line: how often a process that waits is overtaken.

use std::fs;

use nix::sys::signal::Signal;

use crate::asleep::waits;
use crate::stage::{Actor, Pending, Stage, held_from, until, until_stopped, waiters};
use crate::trials;

trials![
    a_waiter_is_overtaken_by_what_is_on_its_way_only,
    a_task_that_waits_is_overtaken_by_what_is_on_its_way_only,
    a_waiter_behind_others_is_overtaken_by_what_is_on_its_way_only,
    readers_do_not_overtake_a_writer_that_waits,
    with_flock_a_waiter_is_overtaken_rarely,
    a_waiter_killed_in_the_line_keeps_nobody_out,
    a_waiter_that_gives_up_in_the_line_keeps_nobody_out,
    a_waiter_stopped_in_the_line_keeps_nobody_out,
    a_try_gets_what_a_stopped_waiter_does_not_take,
    a_reader_stopped_on_its_way_keeps_no_writer_out,
];

/// The times that a waiter waits beside the same greedy process.
const ROUNDS: usize = 10;

/// The signs of those that wait for bytes, and for a `flock`.
const SIGNS: [u64; 2] = [(3 << 61) + 4, (3 << 61) + 6];

/// Processes that get in over and over, while one that waits is counted.
struct Rush {
    stage: Stage,
    greedy: Vec<(Actor, Pending)>,
}

impl Rush {
    fn begin(kind: &str, processes: usize, threads: usize) -> Self {
        let stage = Stage::new();
        let command = format!("greedy {kind} {threads} {}", stage.lock().display());
        let begin = |_| {
            let mut greedy = Actor::start();
            let pending = greedy.begin(&command);
            (greedy, pending)
        };
        let greedy = (0..processes).map(begin).collect();
        let rush = Self { stage, greedy };
        until("somebody greedy", || !rush.passed().is_empty());
        rush
    }

    fn passed(&self) -> String {
        fs::read_to_string(self.stage.lock().with_extension("passed")).unwrap_or_default()
    }

    /// Gets in once as that; returns how often it was overtaken from the time on when it was seen to wait.
    fn overtakes(&self, kind: &str, how: &str) -> usize {
        let before = self.passed().matches('w').count();
        let mut waiter = Actor::start();
        let path = self.stage.lock();
        let pending = waiter.begin(&format!("pass {kind} {how} {}", path.display()));
        let is_in = || self.passed().matches('w').count() > before;
        until("somebody that waits", || waits(&waiter) || is_in());
        let seen = self.passed();
        waiter.succeeds(pending);
        let all = self.passed();
        let came_in = all.match_indices('w').nth(before).expect("it came in").0;
        came_in.saturating_sub(seen.len())
    }

    fn end(mut self) {
        fs::write(self.stage.lock().with_extension("over"), "").expect("a file");
        for (greedy, pending) in &mut self.greedy {
            greedy.succeeds(*pending);
        }
    }
}

/// The times that a waiter may be overtaken: by who is inside when it is seen, by a process that has looked before, and on
/// a busy machine by one that comes to the line before the waiter that was woken runs. Without the line it is hundreds.
const FEW: usize = 20;

#[track_caller]
fn is_hardly_overtaken(greedy: (&str, usize), waiters: &[(&str, &str)]) {
    let (kind, threads) = greedy;
    are_hardly_overtaken_by(1, kind, threads, waiters);
}

#[track_caller]
fn are_hardly_overtaken_by(
    processes: usize,
    greedy: &str,
    threads: usize,
    waiters: &[(&str, &str)],
) {
    let rush = Rush::begin(greedy, processes, threads);
    for &(kind, how) in waiters {
        for _ in 0..ROUNDS {
            let overtaken = rush.overtakes(kind, how);
            assert!(
                overtaken <= FEW,
                "{kind}, {how}, beside {processes} x {threads} of {greedy}: {overtaken} times"
            );
        }
    }
    rush.end();
}

fn a_waiter_is_overtaken_by_what_is_on_its_way_only() {
    is_hardly_overtaken(
        ("lock", 1),
        &[
            ("lock", "thread"),
            ("lock", "timed"),
            ("reentrant", "thread"),
            ("both", "thread"),
        ],
    );
    is_hardly_overtaken(
        ("write", 1),
        &[
            ("write", "thread"),
            ("write", "timed"),
            ("read", "thread"),
            ("upgradable", "thread"),
            ("upgrade", "thread"),
            ("lock", "thread"),
        ],
    );
    is_hardly_overtaken(
        ("upgradable", 1),
        &[("upgradable", "thread"), ("write", "thread")],
    );
    is_hardly_overtaken(("permit", 1), &[("permit", "thread"), ("permit", "timed")]);
}

fn a_task_that_waits_is_overtaken_by_what_is_on_its_way_only() {
    let tasks = |kind| [(kind, "task"), (kind, "timed-task")];
    is_hardly_overtaken(("lock", 1), &tasks("lock"));
    is_hardly_overtaken(("write", 1), &tasks("write"));
    is_hardly_overtaken(("write", 1), &tasks("upgradable"));
    is_hardly_overtaken(("permit", 1), &tasks("permit"));
}

/// A release passes the line on to the next waiter. The process that released must not come back before it.
fn a_waiter_behind_others_is_overtaken_by_what_is_on_its_way_only() {
    for kind in ["lock", "write"] {
        are_hardly_overtaken_by(
            3,
            kind,
            1,
            &[(kind, "thread"), (kind, "timed"), (kind, "task")],
        );
    }
}

fn readers_do_not_overtake_a_writer_that_waits() {
    is_hardly_overtaken(("read", 3), &[("write", "thread"), ("upgrade", "thread")]);
}

/// There is no line for a `flock`: who comes gives those that wait 200 us to wake up.
fn with_flock_a_waiter_is_overtaken_rarely() {
    is_hardly_overtaken(
        ("flock", 1),
        &[("flock", "thread"), ("flock", "timed"), ("flock", "task")],
    );
    is_hardly_overtaken(("flock-write", 1), &[("flock-read", "thread")]);
}

/// A holder, two that stand in the line, and the stage.
fn with_a_line(options: &str) -> (Stage, Actor, [(Actor, Pending); 2]) {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, options);
    holder.ask("lock a g");
    let waiters = [(); 2].map(|()| {
        let mut waiter = Actor::with_lock(&stage, options);
        let pending = waiter.begin_waiting("lock a g", &stage);
        (waiter, pending)
    });
    (stage, holder, waiters)
}

fn a_waiter_killed_in_the_line_keeps_nobody_out() {
    for options in ["", "protocol=flock", "protocol=both"] {
        for killed in 0..2 {
            let (stage, mut holder, mut line) = with_a_line(options);
            line[killed].0.kill();
            until("one waiter less", || waiters(&stage.lock()) == 1);
            holder.ask("release g");
            let (waiter, pending) = &mut line[1 - killed];
            waiter.succeeds(*pending);
            // With the lock in hand, too.
            waiter.kill();
            holder.ask("lock a g");
        }
    }
}

fn a_waiter_that_gives_up_in_the_line_keeps_nobody_out() {
    for options in ["", "protocol=flock", "protocol=both"] {
        let (stage, mut holder, mut line) = with_a_line(options);
        for _ in 0..2 {
            let mut impatient = Actor::with_lock(&stage, options);
            assert!(impatient.ask_in_vain("for a g 20").starts_with("timed-out"));
        }
        holder.ask("release g");
        for (waiter, pending) in &mut line {
            waiter.succeeds(*pending);
            waiter.ask("release g");
        }
        for sign in SIGNS {
            assert_eq!(held_from(&stage.lock(), sign), 0, "{options}");
        }
        holder.ask("try a g");
    }
}

fn a_waiter_stopped_in_the_line_keeps_nobody_out() {
    for options in ["", "protocol=flock"] {
        let (stage, mut holder, mut line) = with_a_line(options);
        line[0].0.signal(Signal::SIGSTOP);
        until_stopped(&line[0].0);
        holder.ask("release g");
        let (waiter, pending) = &mut line[1];
        waiter.succeeds(*pending);
        waiter.ask("release g");
        let mut newcomer = Actor::with_lock(&stage, options);
        newcomer.ask("lock a g");
        newcomer.ask("release g");
        line[0].0.signal(Signal::SIGCONT);
        let (waiter, pending) = &mut line[0];
        waiter.succeeds(*pending);
    }
}

fn a_try_gets_what_a_stopped_waiter_does_not_take() {
    for options in ["", "protocol=flock"] {
        let (stage, mut holder, line) = with_a_line(options);
        for (waiter, _) in &line {
            waiter.signal(Signal::SIGSTOP);
            until_stopped(waiter);
        }
        holder.ask("release g");
        let mut newcomer = Actor::with_lock(&stage, options);
        newcomer.ask("try a g");
    }
}

fn a_reader_stopped_on_its_way_keeps_no_writer_out() {
    let stage = Stage::new();
    let [mut holder, mut reader, mut writer] = [(); 3].map(|()| {
        let mut actor = Actor::start();
        actor.ask(&format!("rw open a {}", stage.lock().display()));
        actor
    });
    holder.ask("rw write a g");
    let reading = reader.begin_waiting("rw read a g", &stage);
    reader.signal(Signal::SIGSTOP);
    until_stopped(&reader);
    let writing = writer.begin_waiting("rw write a g", &stage);
    holder.ask("rw release g");
    writer.succeeds(writing);
    writer.ask("rw release g");
    // An upgrade, too.
    writer.ask("rw upgradable a g");
    writer.ask("rw change upgrade g");
    writer.ask("rw release g");
    reader.signal(Signal::SIGCONT);
    reader.succeeds(reading);
}
