//! Processes, read from `/proc`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::command;
use crate::inspect::view::Process;
use crate::sys::STAND_IN;

/// Looks up a process, unless it has ended.
pub(super) fn look_up(pid: u32) -> Option<Process> {
    let stat = Stat::of_thread(pid, pid)?;
    // When the first thread has ended, only the others show the memory and the descriptors.
    let task = living_thread(pid)?;
    let state = if task == pid {
        stat.state
    } else {
        Stat::of_thread(pid, task)?.state
    };
    let status = ProcStatus::of(pid);
    let command = command_line(pid, task);
    Some(Process {
        pid,
        own_pid: status.own_pid.unwrap_or(pid),
        parent: Some(stat.parent).filter(|&parent| parent > 0),
        user: status.user.or_else(|| owner(pid)),
        name: stat.name,
        acts_as_one: stat.threads == 1 + stand_ins(pid, stat.threads)
            || command::waits_for_its_child(pid, &command),
        command,
        started: started(stat.started),
        threads: stat.threads,
        is_stopped: matches!(state, b'T' | b't'),
    })
}

/// Makes a process of which only the pid is known.
pub(super) fn unknown(pid: u32) -> Process {
    Process {
        pid,
        own_pid: pid,
        parent: None,
        user: None,
        name: "?".to_owned(),
        command: Vec::new(),
        started: None,
        threads: 1,
        is_stopped: false,
        acts_as_one: false,
    }
}

/// Returns the first thread, or another one if that has ended; `None` if the process has ended.
pub(super) fn living_thread(pid: u32) -> Option<u32> {
    let lives =
        |tid: u32| Stat::of_thread(pid, tid).is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'));
    if lives(pid) {
        return Some(pid);
    }
    threads(pid).into_iter().find(|&tid| lives(tid))
}

/// Returns the threads of the process.
pub(super) fn threads(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    tasks
        .flatten()
        .flatten()
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: String,
    pub(super) state: u8,
    pub(super) parent: u32,
    pub(super) threads: u32,
    /// Its start in ticks since the boot.
    started: u64,
    /// The processor on which the thread ran last.
    pub(super) processor: u32,
}

impl Stat {
    pub(super) fn of_thread(pid: u32, tid: u32) -> Option<Self> {
        let path = if pid == tid {
            format!("/proc/{pid}/stat")
        } else {
            format!("/proc/{pid}/task/{tid}/stat")
        };
        Self::parse(&fs::read(path).ok()?)
    }

    /// Parses the line. The name stands in parentheses, and may contain any byte.
    fn parse(text: &[u8]) -> Option<Self> {
        let opening = text.iter().position(|&byte| byte == b'(')?;
        // The last one: the name may have parentheses of its own, and what follows it has none.
        let closing = text.iter().rposition(|&byte| byte == b')')?;
        let name = text.get(opening + 1..closing)?;
        let fields = std::str::from_utf8(text.get(closing + 1..)?).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            state: *fields.first()?.as_bytes().first()?,
            // The fields begin with the third one of proc(5).
            parent: fields.get(1)?.parse().ok()?,
            threads: fields.get(17)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            processor: fields.get(36)?.parse().ok()?,
        })
    }
}

/// The fields of `/proc/PID/status` that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProcStatus {
    user: Option<u32>,
    /// The pid in its innermost namespace.
    own_pid: Option<u32>,
    /// The signals that it handles, one bit each.
    pub(super) caught: Option<u64>,
}

impl ProcStatus {
    pub(super) fn of(pid: u32) -> Self {
        Self::parse(&fs::read(format!("/proc/{pid}/status")).unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            let Some((name, value)) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let mut words = value.split_ascii_whitespace();
            match name {
                // The first number is the real user, the second one the effective user.
                "Uid" => status.user = words.nth(1).and_then(|word| word.parse().ok()),
                "NSpid" => status.own_pid = words.last().and_then(|word| word.parse().ok()),
                "SigCgt" => {
                    let mask = words.next();
                    status.caught = mask.and_then(|word| u64::from_str_radix(word, 16).ok());
                }
                _ => {}
            }
        }
        status
    }
}

/// Whether the thread is a helper of lockfast that waits for another thread, which does nothing meanwhile.
pub(super) fn stands_in(pid: u32, tid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm"));
    name.is_ok_and(|name| name.trim_end() == STAND_IN)
}

/// Counts the helpers that wait for another thread.
fn stand_ins(pid: u32, threads: u32) -> u32 {
    if threads == 1 {
        return 0;
    }
    let stand_ins = self::threads(pid)
        .into_iter()
        .filter(|&tid| stands_in(pid, tid))
        .count();
    u32::try_from(stand_ins).unwrap_or(0)
}

/// Returns the program and its arguments, which need not be UTF-8.
fn command_line(pid: u32, task: u32) -> Vec<OsString> {
    let text = fs::read(format!("/proc/{pid}/task/{task}/cmdline")).unwrap_or_default();
    let text = text.strip_suffix(b"\0").unwrap_or(&text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == 0)
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

fn owner(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

fn started(ticks: u64) -> Option<SystemTime> {
    let per_second = rustix::param::clock_ticks_per_second();
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot = UNIX_EPOCH + Duration::from_secs(boot.trim().parse().ok()?);
    let parts = Duration::from_millis(ticks % per_second * 1000 / per_second);
    Some(boot + Duration::from_secs(ticks / per_second) + parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_any_byte_in_it() {
        let before = b"7 (a) S 1\n\xff b) T 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4711 ";
        let after = b"0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 2 0 0";
        let stat = Stat::parse(&[&before[..], after].concat()).expect("it is understood");
        assert_eq!(stat.name, "a) S 1\n\u{fffd} b");
        assert_eq!((stat.state, stat.parent, stat.threads), (b'T', 3, 9));
        assert_eq!((stat.started, stat.processor), (4711, 2));
        assert_eq!(Stat::parse(b"7 (a"), None);
    }

    #[test]
    fn the_kernel_names_the_same_processor() {
        let own = std::process::id();
        let stat = Stat::of_thread(own, own).expect("it is there");
        assert!(stat.parent > 0 && stat.threads > 0, "{stat:?}");
    }

    #[test]
    fn the_pid_of_the_innermost_namespace_is_the_last_one() {
        let text = b"Name:\ta\nUid:\t1\t2\t3\t4\nNSpid:\t4711\t12\t1\nSigCgt:\t0000000000002000\n";
        let expected = ProcStatus {
            user: Some(2),
            own_pid: Some(1),
            caught: Some(0x2000),
        };
        assert_eq!(ProcStatus::parse(text), expected);
    }
}
