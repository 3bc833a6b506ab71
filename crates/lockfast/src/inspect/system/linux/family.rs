//! Processes that wait for their children.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use super::command;
use super::process::{self, ProcStatus};
use super::waiters::Syscall;
use crate::inspect::snapshot::FamilyWait;
use crate::inspect::view::Process;

/// Returns how a process waits for its child, which waits for a lock; `None` if it goes on meanwhile, as far
/// as can be seen.
///
/// The commands of lockfast and a call of `wait4` certainly wait for the child. A process that reads a pipe
/// waits for all processes that can write to it. A process that waits for events (sudo, timeout, Python's
/// subprocess) may wait for the child or for something else.
pub(super) fn wait_for(parent: &Process, child: u32) -> Option<FamilyWait> {
    let pid = parent.pid;
    let wait = |others: Vec<u32>, is_certain| {
        Some(FamilyWait {
            parent: pid,
            others,
            is_certain,
        })
    };
    if command::waits_for_its_child(pid, &parent.command) {
        return wait(vec![child], true);
    }
    let mut found = None;
    for tid in process::threads(pid) {
        let Some(awaited) = awaited(pid, tid) else {
            continue;
        };
        match awaited {
            Awaited::End(Some(of)) if of == child => return wait(vec![child], true),
            Awaited::End(Some(_)) => {}
            // The end of any child ends the wait, so it is certain only if there is no other.
            Awaited::End(None) => return wait(vec![child], children(pid) == [child]),
            Awaited::Output(pipe) => {
                let (writers, is_everybody) = writers(&pipe);
                if writers.contains(&child) {
                    return wait(writers, is_everybody);
                }
            }
            Awaited::Event => found = wait(vec![child], false),
        }
    }
    found
}

/// The event that a thread waits for.
#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    /// The end of this child, or of any.
    End(Option<u32>),
    /// A write to this pipe, or its end.
    Output(String),
    /// Some event, without a time limit.
    Event,
}

fn awaited(pid: u32, tid: u32) -> Option<Awaited> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    let Some(text) = read("syscall") else {
        // The call may be hidden, and the function in which the thread sleeps shown all the same.
        let place = read("wchan")?;
        return (place == "do_wait").then_some(Awaited::End(None));
    };
    let call = Syscall::parse(&text)?;
    // The registers as they were at the call. What pointers point to is not read.
    let [first, second, third, fourth, fifth, _] = call.arguments;
    // A pid or a number of milliseconds, in the lower half of a register.
    let signed = |argument: u64| {
        let half = u32::try_from(argument & u64::from(u32::MAX)).expect("32 bits");
        i32::from_ne_bytes(half.to_ne_bytes())
    };
    let certain = |argument| Awaited::End(u32::try_from(signed(argument)).ok());
    match call.number {
        libc::SYS_wait4 => Some(match signed(first) {
            1.. => certain(first),
            // Any child, or any of a process group.
            _ => Awaited::End(None),
        }),
        libc::SYS_waitid => match libc::idtype_t::try_from(first).ok()? {
            libc::P_PID => Some(certain(second)),
            libc::P_PIDFD => Some(Awaited::End(Some(of_pidfd(pid, second)?))),
            _ => Some(Awaited::End(None)),
        },
        libc::SYS_read => {
            let target = fs::read_link(format!("/proc/{pid}/task/{tid}/fd/{first}")).ok()?;
            let target = target.to_str()?;
            if target.starts_with("pipe:[") {
                Some(Awaited::Output(target.to_owned()))
            } else {
                target.starts_with("socket:[").then_some(Awaited::Event)
            }
        }
        libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_rt_sigsuspend => Some(Awaited::Event),
        // Without a pointer to a time, these calls have no limit.
        libc::SYS_ppoll | libc::SYS_rt_sigtimedwait if third == 0 => Some(Awaited::Event),
        libc::SYS_pselect6 if fifth == 0 => Some(Awaited::Event),
        libc::SYS_epoll_pwait if signed(fourth) < 0 => Some(Awaited::Event),
        number => of_old_call(number, third, fourth, fifth),
    }
}

/// Reads calls that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
fn of_old_call(number: libc::c_long, third: u64, fourth: u64, fifth: u64) -> Option<Awaited> {
    let is_negative = |argument: u64| argument & (1 << 31) != 0;
    let has_no_limit = match number {
        libc::SYS_poll => is_negative(third),
        libc::SYS_epoll_wait => is_negative(fourth),
        libc::SYS_select => fifth == 0,
        libc::SYS_pause => true,
        _ => false,
    };
    has_no_limit.then_some(Awaited::Event)
}

#[cfg(not(target_arch = "x86_64"))]
fn of_old_call(_: libc::c_long, _: u64, _: u64, _: u64) -> Option<Awaited> {
    None
}

/// Returns the process of another process's pidfd.
fn of_pidfd(pid: u32, descriptor: u64) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}

/// Returns the children of all threads of the process.
fn children(pid: u32) -> Vec<u32> {
    let of_thread = |tid| {
        let path = format!("/proc/{pid}/task/{tid}/children");
        fs::read_to_string(path).unwrap_or_default()
    };
    let texts: Vec<String> = process::threads(pid).into_iter().map(of_thread).collect();
    let words = texts.iter().flat_map(|text| text.split_ascii_whitespace());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Returns the processes that can write to the pipe, and whether these are all.
fn writers(pipe: &str) -> (Vec<u32>, bool) {
    let mut writers = Vec::new();
    let mut is_everybody = true;
    for pid in super::scan::pids().unwrap_or_default() {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            // Kernel threads and dead processes can't write. Anybody else whose descriptors are hidden
            // might.
            is_everybody &= !super::scan::has_program(pid);
            continue;
        };
        let has_end = entries.flatten().any(|entry| {
            let is_pipe = fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(pipe));
            is_pipe && can_write(pid, &entry.file_name())
        });
        if has_end {
            writers.push(pid);
        }
    }
    (writers, is_everybody)
}

fn can_write(pid: u32, descriptor: &std::ffi::OsStr) -> bool {
    let path = Path::new("/proc").join(pid.to_string()).join("fdinfo");
    let text = fs::read_to_string(path.join(descriptor)).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    // Where that can't be seen, it counts as one that can write: an invented deadlock is worse than a missed
    // one.
    flags.is_none_or(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// Whether a wait of the process for a lock or a child may end by itself, because the process has a timer or
/// handles SIGALRM. Then no circle with it is a deadlock for certain.
pub(super) fn may_give_up(process: &Process) -> bool {
    if let Some(has_limit) = command::has_limit(process.pid, &process.command) {
        return has_limit;
    }
    let alarm = 1 << (libc::SIGALRM - 1);
    let has_handler = ProcStatus::of(process.pid)
        .caught
        .is_none_or(|caught| caught & alarm != 0);
    has_handler || has_timer(process.pid)
}

/// Whether the process has a timer, apart from those that end the waits of lockfast's helpers.
fn has_timer(pid: u32) -> bool {
    let Ok(timers) = fs::read_to_string(format!("/proc/{pid}/timers")) else {
        return true;
    };
    let mut notified = timers
        .lines()
        .filter_map(|line| line.strip_prefix("notify:"));
    notified.any(|line| {
        let thread = line
            .rsplit_once("tid.")
            .and_then(|(_, tid)| tid.parse().ok());
        !thread.is_some_and(|tid| process::stands_in(pid, tid))
    })
}

/// Adds the waits of parents for children that wait, up to the first process.
pub(super) fn add(
    waiting: &HashSet<u32>,
    processes: &mut HashMap<u32, Process>,
    families: &mut Vec<FamilyWait>,
) {
    let mut seen = HashSet::new();
    for &pid in waiting {
        let mut pid = pid;
        while let Some(parent) = processes.get(&pid).and_then(|process| process.parent) {
            // Another waiter came by here, or the parents that were read at different times form a
            // circle.
            if !seen.insert((parent, pid)) {
                break;
            }
            if !processes.contains_key(&parent) {
                processes.extend(process::look_up(parent).map(|process| (parent, process)));
            }
            let Some(wait) = processes
                .get(&parent)
                .and_then(|parent| wait_for(parent, pid))
            else {
                break;
            };
            families.push(wait);
            pid = parent;
        }
    }
}
