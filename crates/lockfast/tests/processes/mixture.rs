//! Threads, tasks and processes together, in every way to take each primitive: nobody overlaps, nobody
//! stands still, and nothing stays locked.
//!
//! Each process runs threads and tasks on clones of one handle and on a second handle of the same path.
//! They wait with and without a limit, try, cancel, drop their futures at any moment, upgrade, downgrade,
//! and send guards to other threads. Processes are killed meanwhile.

mod board;
mod visitor;
mod ways;
pub(crate) mod worker;

use std::thread;
use std::time::{Duration, Instant};

use board::Board;
use lockfast_testing::table;

use crate::stage::{Actor, Pending, Stage, holders};
use crate::trials;

trials![
    a_lock_is_taken_in_every_way,
    a_lock_of_other_protocols_is_taken_in_every_way,
    a_lock_that_lingers_is_taken_in_every_way,
    a_lock_that_removes_its_file_is_taken_in_every_way,
    a_reentrant_lock_is_taken_in_every_way,
    readers_and_writers_come_in_every_way,
    readers_and_writers_of_other_protocols_come_in_every_way,
    readers_and_writers_whose_lock_lingers_come_in_every_way,
    readers_and_writers_whose_file_is_removed_come_in_every_way,
    permits_are_taken_in_every_way,
    waiters_in_a_strict_order_come_in_every_way,
    locks_and_readers_writers_locks_meet_at_one_file,
];

const PROCESSES: usize = 3;
const THREADS: usize = 4;
const TASKS: usize = 4;
const WORKERS: usize = THREADS + TASKS;

/// The weight of an exclusive holder where any number may read.
const ALONE: u64 = 1 << 16;

fn a_lock_is_taken_in_every_way() {
    mixture(&["lock"], ALONE, "");
    mixture(&["lock"], ALONE, "verify=path");
}

fn a_lock_of_other_protocols_is_taken_in_every_way() {
    mixture(&["lock"], ALONE, "protocol=flock");
    mixture(&["lock"], ALONE, "protocol=both");
}

fn a_lock_that_lingers_is_taken_in_every_way() {
    mixture(&["lock"], ALONE, "linger=20");
    mixture(&["reentrant"], ALONE, "linger=20");
}

fn a_lock_that_removes_its_file_is_taken_in_every_way() {
    mixture(&["lock"], ALONE, "remove");
}

fn a_reentrant_lock_is_taken_in_every_way() {
    mixture(&["reentrant"], ALONE, "");
}

fn readers_and_writers_come_in_every_way() {
    mixture(&["rwlock"], ALONE, "");
}

fn readers_and_writers_of_other_protocols_come_in_every_way() {
    mixture(&["readers"], ALONE, "protocol=flock");
    mixture(&["readers"], ALONE, "protocol=both");
}

fn readers_and_writers_whose_lock_lingers_come_in_every_way() {
    mixture(&["rwlock"], ALONE, "linger=20");
}

fn readers_and_writers_whose_file_is_removed_come_in_every_way() {
    mixture(&["rwlock"], ALONE, "remove");
}

fn permits_are_taken_in_every_way() {
    mixture(&["permits"], 3, "");
}

fn waiters_in_a_strict_order_come_in_every_way() {
    mixture(&["lock"], ALONE, "fifo");
    mixture(&["rwlock"], ALONE, "fifo");
    mixture(&["permits"], 3, "fifo");
}

fn locks_and_readers_writers_locks_meet_at_one_file() {
    mixture(&["lock", "rwlock"], ALONE, "");
}

/// Runs one process after the other of these kinds of primitives on one file.
fn mixture(kinds: &[&str], limit: u64, options: &str) {
    let stage = Stage::new();
    let board = Board::beside(&stage.lock(), limit);
    let mut mixture = Mixture {
        stage: &stage,
        kinds,
        limit,
        options,
        board,
        running: Vec::new(),
        seed: 1,
    };
    for process in 0..PROCESSES {
        let member = mixture.member(process);
        mixture.running.push(member);
    }
    let kills = kills();
    for kill in 0..kills {
        mixture.all_go_on(ROUNDS / 4);
        mixture.kill(kill % PROCESSES);
    }
    mixture.all_go_on(ROUNDS);
    mixture.end();
}

/// Processes on one file.
struct Mixture<'a> {
    stage: &'a Stage,
    kinds: &'a [&'a str],
    limit: u64,
    options: &'a str,
    board: Board,
    running: Vec<Member>,
    seed: u64,
}

/// A process of the mixture.
struct Member {
    actor: Actor,
    running: Pending,
}

impl Mixture<'_> {
    /// Starts the process of that number.
    fn member(&mut self, process: usize) -> Member {
        let kind = self.kinds[process % self.kinds.len()];
        let path = self.stage.lock();
        let (path, limit, seed) = (path.display(), self.limit, self.seed);
        let command = format!(
            "mixture {kind} {path} {limit} {process} {seed} {}",
            self.options
        );
        self.seed += 1;
        let mut actor = Actor::start();
        let running = actor.begin(command.trim_end());
        Member { actor, running }
    }

    /// Kills the process of that number in the middle of anything, and starts another one.
    fn kill(&mut self, process: usize) {
        self.running[process].actor.kill();
        for slot in self.slots(process) {
            self.board.slot(slot).clear();
        }
        self.running[process] = self.member(process);
    }

    /// The slots of a process: each worker has one, and one more for its companion.
    fn slots(&self, process: usize) -> std::ops::Range<usize> {
        let first = 2 * WORKERS * process;
        let workers = if self.kinds == ["reentrant"] {
            THREADS
        } else {
            WORKERS
        };
        first..first + 2 * workers
    }

    /// Waits until each worker has ended so many rounds more.
    #[track_caller]
    fn all_go_on(&mut self, more: u64) {
        let slots: Vec<_> = (0..PROCESSES)
            .flat_map(|process| self.slots(process).step_by(2))
            .map(|number| self.board.slot(number))
            .collect();
        let goals: Vec<_> = slots.iter().map(|slot| slot.rounds() + more).collect();
        let deadline = Instant::now() + STANDSTILL;
        while !slots
            .iter()
            .zip(&goals)
            .all(|(slot, &goal)| slot.rounds() >= goal)
        {
            for member in &mut self.running {
                // An overlap ends all of them, and the process that found it fails.
                if member.actor.has_answered(member.running) {
                    assert_eq!(member.actor.answers(member.running), Ok(String::new()));
                }
            }
            assert!(Instant::now() < deadline, "standstill: {}", self.report());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends all, and looks for locks that are left.
    fn end(mut self) {
        self.board.stop();
        let deadline = Instant::now() + STANDSTILL;
        while !self
            .running
            .iter_mut()
            .all(|member| member.actor.has_answered(member.running))
        {
            assert!(Instant::now() < deadline, "no end: {}", self.report());
            thread::sleep(Duration::from_millis(1));
        }
        let path = self.stage.lock();
        let is_kept = self.options.contains("linger") || self.kinds == ["permits"];
        for member in &mut self.running {
            member.actor.succeeds(member.running);
        }
        if !is_kept {
            let left = holders(&path);
            assert_eq!(left, 0, "nobody is inside any more: {}", self.report());
        }
        drop(self.running);
        let mut last = Actor::start();
        if self.kinds == ["permits"] {
            let open = format!(
                "sem open a {} {} {}",
                path.display(),
                self.limit,
                self.options
            );
            last.ask(open.trim_end());
            last.ask(&format!("sem try a g {}", self.limit));
        } else {
            last.ask(&format!("open a {}", path.display()));
            last.ask("try a g");
        }
    }

    /// Describes the step of each worker, and the kernel's locks of the file.
    fn report(&self) -> String {
        use std::os::unix::fs::MetadataExt;

        let slots = (0..PROCESSES).flat_map(|process| self.slots(process));
        let mut lines: Vec<_> = slots
            .map(|slot| self.board.slot(slot).to_string())
            .collect();
        if let Ok(metadata) = self.stage.lock().metadata() {
            lines.extend(table::lines(|inode| inode == metadata.ino()));
        }
        format!("{:?} {}\n{}", self.kinds, self.options, lines.join("\n"))
    }
}

/// Rounds of each worker after the last kill.
const ROUNDS: u64 = 100;

/// The time that a worker has for its rounds before it counts as standing still: far more than a busy
/// machine takes.
const STANDSTILL: Duration = Duration::from_secs(120);

/// The number of processes that are killed in each mixture: a hundredth of `LOCKFAST_KILLS`.
fn kills() -> usize {
    match std::env::var("LOCKFAST_KILLS") {
        Ok(number) => number.parse::<usize>().expect("a number") / 100,
        Err(_) => 6,
    }
}
