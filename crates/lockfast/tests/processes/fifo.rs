//! `Fairness::Fifo`: nobody gets in before one that waited already when it came.

pub(crate) mod line;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::semaphore::{self, stop};
use crate::stage::{Actor, Pending, Stage, until};
use crate::trials;
use crate::witness::Witness;

trials![
    lockers_get_in_in_the_order_in_which_they_came,
    readers_and_writers_get_in_in_phases,
    permits_are_had_in_the_order_in_which_they_were_asked_for,
    threads_do_not_pass_it_on_before_a_process_that_waits,
    who_is_told_of_the_wait_is_in_the_line,
    a_newcomer_does_not_get_in_while_somebody_waits,
    a_reader_comes_after_a_writer_that_waits_and_before_one_that_comes,
    an_upgrade_comes_before_all_who_wait,
    a_file_that_can_only_be_read_will_do_to_read,
    it_excludes_those_without_order,
    a_program_that_locks_everything_is_waited_for,
    what_can_not_be_is_refused,
];

/// Where the tickets are, readers' below and writers' above.
const MIDDLE: u64 = (1 << 63) - (1 << 59);
const FIRST: u64 = MIDDLE - (1 << 58);

/// For ever, as far as a test is concerned, but with a deadline.
const LONG: &str = "for a g 3600000";

/// Whether it has a ticket for the file that is at the path now.
fn is_queued(actor: &Actor, stage: &Stage) -> bool {
    has_ticket(actor.pid(), &stage.lock())
}

pub(crate) fn has_ticket(pid: u32, path: &Path) -> bool {
    let inode = format!(":{}", fs::metadata(path).expect("a file").ino());
    let is_ticket = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let (_end, start, file) = (words.next(), words.next(), words.next());
        let start = start.and_then(|start| start.parse::<u64>().ok());
        file.is_some_and(|file| file.ends_with(&inode)) && start.is_some_and(|start| start >= FIRST)
    };
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it lives");
    let mut files = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    files.any(|file| {
        let mut locks = file.lines().filter(|line| line.starts_with("lock:"));
        locks.any(is_ticket)
    })
}

/// Has it line up, and waits until it is in the line.
pub(crate) fn join_queue(actor: &mut Actor, command: &str, stage: &Stage) -> Pending {
    assert!(!is_queued(actor, stage));
    let pending = actor.begin(command);
    until("a place in the line", || is_queued(actor, stage));
    pending
}

fn lockers<const N: usize>(stage: &Stage, options: &str) -> [Actor; N] {
    std::array::from_fn(|_| Actor::with_lock(stage, options))
}

fn rw_lockers<const N: usize>(stage: &Stage, options: &str) -> [Actor; N] {
    std::array::from_fn(|_| {
        let mut actor = Actor::start();
        actor.ask(&format!("rw open a {} {options}", stage.lock().display()));
        actor
    })
}

fn pools<const N: usize>(stage: &Stage, permits: u32) -> [Actor; N] {
    std::array::from_fn(|_| {
        let mut actor = Actor::start();
        actor.ask(&semaphore::open(stage, permits, "fifo"));
        actor
    })
}

#[track_caller]
fn is_contended(actor: &mut Actor, command: &str) {
    let told = actor.ask_in_vain(command);
    assert!(told.starts_with("contended:"), "{told}");
}

fn lockers_get_in_in_the_order_in_which_they_came() {
    for options in ["fifo", "fifo protocol=both", "fifo verify=path"] {
        let stage = Stage::new();
        let [mut holder, mut polls, mut waiters @ ..]: [Actor; 8] = lockers(&stage, options);
        polls.ask("signal handle all-real-time");
        holder.ask("lock a g");
        let mut pending = Vec::new();
        for (number, waiter) in waiters.iter_mut().enumerate() {
            let command = ["lock a g", LONG, "task tokio a g"][number % 3];
            pending.push(join_queue(waiter, command, &stage));
        }
        let polling = join_queue(&mut polls, LONG, &stage);
        holder.ask("release g");
        for number in 0..pending.len() {
            // Were it not the next one, it would not get it before that one releases it.
            waiters[number].succeeds(pending[number]);
            for later in number + 1..pending.len() {
                assert!(!waiters[later].has_answered(pending[later]));
            }
            waiters[number].ask("release g");
        }
        polls.succeeds(polling);
        polls.ask("release g");
        assert!(!waiters.iter().any(|waiter| is_queued(waiter, &stage)));
        holder.ask("try a g");
    }
}

fn readers_and_writers_get_in_in_phases() {
    let stage = Stage::new();
    let [mut holder, mut waiters @ ..]: [Actor; 10] = rw_lockers(&stage, "fifo");
    holder.ask("rw write a g");
    let phases: [&[&str]; 6] = [
        &["read", "read"],
        &["write"],
        &["read", "upgradable", "read"],
        &["write"],
        &["write"],
        &["read"],
    ];
    let mut all = waiters.iter_mut();
    let mut phases = phases.map(|modes| {
        let join_queue = |&mode: &&str| {
            let actor = all.next().expect("as many");
            let pending = join_queue(actor, &format!("rw {mode} a g"), &stage);
            (actor, pending)
        };
        modes.iter().map(join_queue).collect::<Vec<_>>()
    });
    holder.ask("rw release g");
    for number in 0..phases.len() {
        let (now, later) = phases[number..].split_first_mut().expect("this one");
        // Those of a phase are inside together, and all of them before the next phase.
        for (actor, pending) in now.iter_mut() {
            actor.succeeds(*pending);
        }
        for (actor, pending) in later.iter_mut().flatten() {
            assert!(!actor.has_answered(*pending));
        }
        for (actor, _) in now {
            actor.ask("rw release g");
            assert!(!is_queued(actor, &stage));
        }
    }
}

fn permits_are_had_in_the_order_in_which_they_were_asked_for() {
    let stage = Stage::new();
    let [mut holder, mut waiters @ ..]: [Actor; 8] = pools(&stage, 2);
    holder.ask("sem acquire a one");
    holder.ask("sem acquire a other");
    let mut pending = Vec::new();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let command = ["sem acquire a g", "sem for a g 3600000"][number % 2];
        pending.push(join_queue(waiter, command, &stage));
    }
    // One permit comes back at a time.
    for number in 0..pending.len() {
        match number {
            0 => holder.ask("sem release one"),
            1 => holder.ask("sem release other"),
            _ => waiters[number - 2].ask("sem release g"),
        };
        waiters[number].succeeds(pending[number]);
        for later in number + 1..pending.len() {
            assert!(!waiters[later].has_answered(pending[later]));
        }
    }
    assert!(!waiters.iter().any(|waiter| is_queued(waiter, &stage)));
}

/// The threads of a handle have an order of their own, but other processes that came before stay
/// before the next one.
fn threads_do_not_pass_it_on_before_a_process_that_waits() {
    let stage = Stage::new();
    let [mut busy, mut other] = lockers(&stage, "fifo on-wait=");
    busy.ask("lock a g");
    let waiting = other.begin("lock a g");
    other.event();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let pending = busy.begin(&format!("lock a g{number}"));
            busy.event();
            pending
        })
        .collect();
    busy.ask("release g");
    other.succeeds(waiting);
    for &pending in &threads {
        assert!(!busy.has_answered(pending));
    }
    other.ask("release g");
    for (number, &pending) in threads.iter().enumerate() {
        busy.succeeds(pending);
        for &later in &threads[number + 1..] {
            assert!(!busy.has_answered(later));
        }
        busy.ask(&format!("release g{number}"));
    }
}

fn who_is_told_of_the_wait_is_in_the_line() {
    let stage = Stage::new();
    let [mut holder] = lockers(&stage, "fifo");
    let [mut waiter] = lockers(&stage, "fifo on-wait-in-line");
    holder.ask("lock a g");
    for command in ["lock a g", "task tokio a g"] {
        let waiting = waiter.begin(command);
        assert_eq!(waiter.event(), "in line: true", "{command}");
        holder.ask("release g");
        waiter.succeeds(waiting);
        waiter.ask("release g");
        holder.ask("lock a g");
    }

    let stage = Stage::new();
    let [mut holder] = pools(&stage, 1);
    holder.ask("sem acquire a g");
    let mut waiter = Actor::start();
    waiter.ask(&semaphore::open(&stage, 1, "fifo on-wait-in-line"));
    waiter.begin("sem acquire a g");
    assert_eq!(waiter.event(), "in line: true");
}

fn a_newcomer_does_not_get_in_while_somebody_waits() {
    let stage = Stage::new();
    let [mut holder, mut waiter, mut newcomer] = lockers(&stage, "fifo");
    holder.ask("lock a g");
    let waiting = join_queue(&mut waiter, "lock a g", &stage);
    // While it is stopped the lock is free, and it is the waiter's.
    stop(&waiter);
    holder.ask("release g");
    for command in ["try a g", "for a g 0"] {
        let told = newcomer.ask_in_vain(command);
        assert!(
            told.starts_with(["contended:", "timed-out:"][usize::from(command != "try a g")]),
            "{told}"
        );
        holder.ask_in_vain(command);
    }
    let lining_up = join_queue(&mut newcomer, "lock a g", &stage);
    let [mut last] = lockers(&stage, "fifo");
    let last_waiting = join_queue(&mut last, "lock a g", &stage);
    waiter.signal(Signal::SIGCONT);
    waiter.succeeds(waiting);
    waiter.ask("release g");
    newcomer.succeeds(lining_up);
    newcomer.ask("release g");
    last.succeeds(last_waiting);

    let stage = Stage::new();
    let [mut holder, mut head, mut newcomer] = pools(&stage, 1);
    newcomer.ask("sem acquire a g");
    newcomer.ask("sem release g");
    holder.ask("sem acquire a g");
    let waiting = join_queue(&mut head, "sem acquire a g", &stage);
    stop(&head);
    holder.ask("sem release g");
    // It saw nobody at its last release, and asks nevertheless.
    is_contended(&mut newcomer, "sem try a g");
    head.signal(Signal::SIGCONT);
    head.succeeds(waiting);
}

fn a_reader_comes_after_a_writer_that_waits_and_before_one_that_comes() {
    let stage = Stage::new();
    let [mut holder, mut waiter, mut newcomer] = rw_lockers(&stage, "fifo");
    for (mode, reads, others) in [
        ("write", false, false),
        ("upgradable", false, false),
        ("read", true, false),
    ] {
        holder.ask("rw write a g");
        let waiting = join_queue(&mut waiter, &format!("rw {mode} a g"), &stage);
        stop(&waiter);
        holder.ask("rw release g");
        for (how, gets_in) in [
            ("try-read", reads),
            ("try-write", others),
            ("try-upgradable", others),
        ] {
            if gets_in {
                newcomer.ask(&format!("rw {how} a g"));
                newcomer.ask("rw release g");
            } else {
                is_contended(&mut newcomer, &format!("rw {how} a g"));
            }
        }
        waiter.signal(Signal::SIGCONT);
        waiter.succeeds(waiting);
        waiter.ask("rw release g");
    }
}

fn an_upgrade_comes_before_all_who_wait() {
    let stage = Stage::new();
    let [mut upgrader, mut reader, mut writer, mut late] = rw_lockers(&stage, "fifo");
    upgrader.ask("rw upgradable a g");
    reader.ask("rw read a g");
    let writing = join_queue(&mut writer, "rw write a g", &stage);
    let told = upgrader.ask_in_vain("rw change upgrade-for g 10");
    assert!(told.starts_with("timed-out:"), "{told}");
    assert!(!is_queued(&upgrader, &stage));
    let upgrading = join_queue(&mut upgrader, "rw change upgrade g", &stage);
    let reading = join_queue(&mut late, "rw read a g", &stage);
    reader.ask("rw release g");
    upgrader.succeeds(upgrading);
    upgrader.ask("rw change downgrade-to-upgradable g");
    assert!(!is_queued(&upgrader, &stage));
    upgrader.ask("rw change upgrade g");
    upgrader.ask("rw release g");
    writer.succeeds(writing);
    assert!(!late.has_answered(reading));
    writer.ask("rw change downgrade g");
    late.succeeds(reading);
    assert!(!is_queued(&writer, &stage) && !is_queued(&late, &stage));
}

/// A ticket to read needs no right to write.
fn a_file_that_can_only_be_read_will_do_to_read() {
    let stage = Stage::new();
    let [mut writer, mut late] = rw_lockers(&stage, "fifo");
    let mut reader = Actor::start();
    reader.ask(&format!("rw from-file a {} fifo", stage.lock().display()));
    writer.ask("rw write a g");
    let reading = join_queue(&mut reader, "rw read a g", &stage);
    let writing = join_queue(&mut late, "rw write a g", &stage);
    writer.ask("rw release g");
    reader.succeeds(reading);
    assert!(!late.has_answered(writing));
    reader.ask("rw release g");
    late.succeeds(writing);
}

fn it_excludes_those_without_order() {
    let stage = Stage::new();
    let commands = [
        "hammer PATH 300 fifo",
        "hammer PATH 300",
        "rw hammer PATH 300 fifo",
        "rw hammer PATH 300",
        "hammer-timed PATH 100 fifo",
        "hammer-timed PATH 100",
    ];
    let mut actors: Vec<_> = commands.iter().map(|_| Actor::start()).collect();
    let path = stage.lock().display().to_string();
    let hammering: Vec<_> = actors
        .iter_mut()
        .zip(commands)
        .map(|(actor, command)| actor.begin(&command.replace("PATH", &path)))
        .collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&stage.lock()).expect("the witness");
    let written = 2 * 300 + 2 * 300 / 2 + 2 * 100;
    assert_eq!(witness.count().expect("its count"), written);
}

/// A remaining waiter, its command, and the guard that it releases then.
type Left<'a> = (&'a mut Actor, Pending, &'a str);

fn a_program_that_locks_everything_is_waited_for() {
    let stage = Stage::new();
    let [mut locker, mut other] = lockers(&stage, "fifo");
    let [mut reader] = rw_lockers(&stage, "fifo");
    let mut foreign = Actor::start();
    foreign.ask(&format!("hold-open f {}", stage.lock().display()));
    foreign.ask("classic f exclusive");
    is_contended(&mut locker, "try a g");
    assert!(
        locker
            .ask_in_vain(LONG.replace("3600000", "10").as_str())
            .starts_with("timed-out:")
    );
    let one = locker.begin_waiting("lock a g", &stage);
    let two = other.begin_waiting(LONG, &stage);
    let three = reader.begin_waiting("rw read a g", &stage);
    foreign.ask("classic f none");
    // In some order, once each has a ticket.
    let mut left: Vec<Left<'_>> = vec![
        (&mut locker, one, "release g"),
        (&mut other, two, "release g"),
        (&mut reader, three, "rw release g"),
    ];
    while !left.is_empty() {
        let mut inside = None;
        until("somebody inside", || {
            let has_got_in = |one: &mut Left<'_>| one.0.has_answered(one.1);
            inside = left.iter_mut().position(has_got_in);
            inside.is_some()
        });
        let (actor, pending, release) = left.remove(inside.expect("somebody"));
        actor.succeeds(pending);
        actor.ask(release);
        assert!(!is_queued(actor, &stage));
    }

    // To read: readers get in beside it.
    foreign.ask("classic f shared");
    let [mut reader, mut late] = rw_lockers(&stage, "fifo");
    reader.ask("rw try-read a g");
    let [mut writer] = rw_lockers(&stage, "fifo");
    is_contended(&mut writer, "rw try-write a g");
    let writing = writer.begin_waiting("rw write a g", &stage);
    late.ask("rw read a g");
    late.ask("rw release g");
    foreign.ask("classic f none");
    assert!(!writer.has_answered(writing));
    reader.ask("rw release g");
    writer.succeeds(writing);
}

fn what_can_not_be_is_refused() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for open in ["open a", "rw open a"] {
        let told = actor.ask_in_vain(&format!(
            "{open} {} fifo protocol=flock",
            stage.lock().display()
        ));
        assert!(
            told.starts_with("unsupported:") && told.contains("Protocol::Fcntl"),
            "{told}"
        );
    }
    assert!(!stage.lock().exists());
}
