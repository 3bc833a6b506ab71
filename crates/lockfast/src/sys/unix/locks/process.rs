//! What `/proc` tells of one process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use procfs::process;

use crate::inspect::Process;
use crate::sys::process::STAND_IN;

/// The process, unless it has ended.
pub(super) fn look_up(pid: u32) -> Option<Process> {
    let looked_at = process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = looked_at.stat().ok()?;
    let user = looked_at.status().ok().map(|status| status.euid);
    let command = command(pid);
    let threads = u32::try_from(stat.num_threads).unwrap_or(1);
    Some(Process {
        pid,
        parent: u32::try_from(stat.ppid).ok().filter(|&parent| parent > 0),
        user: user.or_else(|| owner(pid)),
        name: stat.comm,
        acts_as_one: threads == 1 + stand_ins(pid, threads) || is_lockfast_run(&command),
        command,
        started: started(stat.starttime),
        threads,
    })
}

/// A process of which only the number is known.
pub(super) fn unknown(pid: u32) -> Process {
    Process {
        pid,
        parent: None,
        user: None,
        name: "?".to_owned(),
        command: Vec::new(),
        started: None,
        threads: 1,
        acts_as_one: false,
    }
}

/// How many of its threads wait in the place of another one, which does nothing else meanwhile.
fn stand_ins(pid: u32, threads: u32) -> u32 {
    if threads == 1 {
        return 0;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let names = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        (name.trim_end() == STAND_IN).then_some(())
    });
    u32::try_from(names.count()).unwrap_or(0)
}

/// By `read`, because arguments need not be UTF-8, which `procfs` demands.
fn command(pid: u32) -> Vec<OsString> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
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
    let per_second = procfs::ticks_per_second();
    let boot = UNIX_EPOCH + Duration::from_secs(procfs::boot_time_secs().ok()?);
    let parts = Duration::from_millis(ticks % per_second * 1000 / per_second);
    Some(boot + Duration::from_secs(ticks / per_second) + parts)
}

/// For whose end does the process wait, as far as can be seen: for that of its children?
pub(super) fn waits_for_children(process: &Process) -> bool {
    is_lockfast_run(&process.command) || is_in_wait(process.pid)
}

/// It waits for its command in its own way, and none of its threads releases a lock meanwhile.
fn is_lockfast_run(command: &[OsString]) -> bool {
    let mut words = command.iter();
    let program = words.next().map(std::path::Path::new);
    program.and_then(|path| path.file_name()) == Some("lockfast".as_ref())
        && words.next().is_some_and(|word| word == "run")
}

fn is_in_wait(pid: u32) -> bool {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    if let Some(call) = read("syscall").and_then(|text| super::thread::call_number(&text)) {
        return call == libc::SYS_wait4 || call == libc::SYS_waitid;
    }
    read("wchan").is_some_and(|place| place == "do_wait")
}
