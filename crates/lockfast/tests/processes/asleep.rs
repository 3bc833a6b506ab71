//! Whether processes sleep, and how often they went to sleep.

use std::fs;
use std::path::PathBuf;

use crate::stage::{Actor, until};

/// How often its threads have gone to sleep.
pub(crate) fn times_slept(actor: &Actor) -> u64 {
    let times = |thread: PathBuf| {
        let status = fs::read_to_string(thread.join("status")).expect("its status");
        let name = "voluntary_ctxt_switches:";
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let times = line.expect("the field").trim();
        times.parse::<u64>().expect("a number")
    };
    threads(actor).map(times).sum()
}

/// Waits until all threads of all of them sleep on, and tells how often they have gone to sleep.
#[track_caller]
pub(crate) fn until_asleep(actors: &[&Actor]) -> u64 {
    let mut last = None;
    until("all asleep", || {
        // One that is about to sleep is shown as asleep already.
        let now: u64 = actors.iter().map(|actor| times_slept(actor)).sum();
        let sleep_on = actors.iter().all(|actor| is_asleep(actor)) && last == Some(now);
        last = Some(now);
        sleep_on
    });
    last.expect("looked at last")
}

/// Whether a thread of it waits for a lock in the kernel. Other processes that wait do not count, on whatever file.
pub(crate) fn waits(actor: &Actor) -> bool {
    // An emulated program makes the system calls of its host, which have other numbers; their names are the same.
    threads(actor).any(|thread| {
        fs::read_to_string(thread.join("wchan"))
            .is_ok_and(|place| place.contains("fcntl_setlk") || place.contains("lock_inode_wait"))
    })
}

fn is_asleep(actor: &Actor) -> bool {
    threads(actor).all(|thread| {
        fs::read_to_string(thread.join("stat")).is_ok_and(|stat| stat.contains(") S "))
    })
}

fn threads(actor: &Actor) -> impl Iterator<Item = PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{}/task", actor.pid())).expect("it lives");
    tasks.map(|task| task.expect("a thread").path())
}
