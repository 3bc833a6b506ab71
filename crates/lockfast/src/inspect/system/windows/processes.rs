//! Facts about processes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::{Duration, SystemTime};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Threading::{PROCESS_NAME_WIN32, QueryFullProcessImageNameW};

use super::openers::ListedProcess;
use crate::inspect::view::Process;
use crate::sys::process;

/// Describes the processes that have a file open, by pid.
pub(super) fn described(openers: Vec<ListedProcess>) -> HashMap<u32, Process> {
    let table = table();
    let described = openers.into_iter().map(|opener| {
        let entry = table.get(&opener.pid);
        let name = entry.map_or(opener.application, |entry| text(&entry.szExeFile));
        let process = Process {
            pid: opener.pid,
            parent: entry.map(|entry| entry.th32ParentProcessID),
            // Users have no numbers on Windows.
            user: None,
            name: name.to_string_lossy().into_owned(),
            command: program(opener.pid).into_iter().collect(),
            started: time(opener.started),
            threads: entry.map_or(1, |entry| entry.cntThreads),
            own_pid: opener.pid,
            is_stopped: false,
            acts_as_one: false,
        };
        (opener.pid, process)
    });
    described.collect()
}

/// Returns all processes of the machine; none if the system refuses.
fn table() -> HashMap<u32, PROCESSENTRY32W> {
    let mut table = HashMap::new();
    // SAFETY: takes numbers, and answers a new handle or one that is not valid.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return table;
    }
    // SAFETY: the handle is new, and nobody else's.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let size = u32::try_from(size_of::<PROCESSENTRY32W>()).expect("some bytes");
    let mut entry = PROCESSENTRY32W {
        dwSize: size,
        ..PROCESSENTRY32W::default()
    };
    // SAFETY: the handle is of a snapshot, and the entry says how large it is.
    let mut found = unsafe { Process32FirstW(snapshot.as_raw_handle(), &raw mut entry) };
    while found != 0 {
        table.insert(entry.th32ProcessID, entry);
        // SAFETY: as above.
        found = unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) };
    }
    table
}

/// Returns the path of the program that a process runs. Its arguments are not public on Windows.
fn program(pid: u32) -> Option<OsString> {
    let process = process::open(pid)?;
    let mut path = vec![0; 1 << 15];
    let mut length = 1 << 15;
    // SAFETY: the handle is open, and the buffer is as long as the call says.
    let answer = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    };
    (answer != 0).then(|| text(&path[..length as usize]))
}

/// Converts text up to the first 0.
fn text(units: &[u16]) -> OsString {
    OsString::from_wide(units.split(|&unit| unit == 0).next().unwrap_or_default())
}

/// Converts units of 100 ns since 1601.
fn time(units: u64) -> Option<SystemTime> {
    const A_SECOND: u64 = 10_000_000;
    const FROM_1601_TO_1970: u64 = 11_644_473_600;
    let seconds = (units / A_SECOND).checked_sub(FROM_1601_TO_1970)?;
    let rest = Duration::from_nanos(units % A_SECOND * 100);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + rest)
}
