//! The system calls that need `unsafe`, and what differs among systems.
#![allow(
    unsafe_code,
    reason = "system calls; nothing outside this file has any"
)]

use std::ffi::c_void;
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;
use windows_sys::core::BOOL;

/// Can a command be killed by the system when this process ends?
pub(crate) const CAN_KILL_WITH_PARENT: bool = true;

/// A job that ends with this process, as nobody else has its handle.
static JOB: OnceLock<OwnedHandle> = OnceLock::new();

/// Has the system kill what this process starts when it ends: it joins a job, and so does what it starts,
/// from its first instant on.
pub(crate) fn kill_with_parent(_command: &mut Command) -> io::Result<()> {
    // SAFETY: no attributes, no name; the call answers a new handle, or null.
    let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    limit(&job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
    // SAFETY: takes nothing, and answers a number that means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: both handles are open.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), this) })?;
    // Never closed before the end of this process.
    let _ = JOB.set(job);
    Ok(())
}

/// What was started may live longer than this process.
pub(crate) fn let_live() {
    if let Some(job) = JOB.get() {
        // It was set before, so it can be taken back.
        let _ = limit(job, 0);
    }
}

fn limit(job: &OwnedHandle, flags: u32) -> io::Result<()> {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = flags;
    let size = u32::try_from(size_of_val(&limits)).expect("some bytes");
    let from = (&raw const limits).cast::<c_void>();
    let class = JobObjectExtendedLimitInformation;
    // SAFETY: the handle is a job's, and what is set is as large as the call is told.
    check(unsafe { SetInformationJobObject(job.as_raw_handle(), class, from, size) })
}

/// This process goes on when the console is told to interrupt what runs in it.
pub(crate) fn outlive_console_events() -> io::Result<()> {
    // SAFETY: the handler is a function of this program, and may run on any thread.
    check(unsafe { SetConsoleCtrlHandler(Some(go_on), 1) })
}

/// Answers that the event has been dealt with. When the console is closed, or the session ends, the
/// system ends this process as soon as this returns: so it gives the command as long as the system does.
unsafe extern "system" fn go_on(event: u32) -> BOOL {
    if ![CTRL_C_EVENT, CTRL_BREAK_EVENT].contains(&event) {
        std::thread::sleep(Duration::MAX);
    }
    1
}

/// Handles are not handed on: of a lock that two processes have, neither could say when it is free.
pub(crate) fn let_inherit(_file: &File) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "--inherit is not available on Windows",
    ))
}

/// What tells a file from all others, as far as their paths do.
pub(crate) fn file_key(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The number of a file that was found in a directory; not known without opening it.
pub(crate) fn number(_entry: &DirEntry) -> Option<u64> {
    None
}

/// The name of a user; users have no numbers here.
pub(crate) fn user_name(_number: u32) -> Option<String> {
    None
}

fn check(answer: BOOL) -> io::Result<()> {
    if answer == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
