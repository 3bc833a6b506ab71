//! The process and the machine.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::{
    ComputerNamePhysicalDnsHostname, GetComputerNameExW,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, WaitForSingleObject,
};

/// No lock has a tag by which its holder could be named.
pub(crate) fn namespace() -> u64 {
    0
}

/// Users have no numbers here.
pub(crate) fn user() -> io::Result<u32> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "locks by name are not there on Windows yet: open one by its path",
    ))
}

/// When a process started, in units of 100 ns since 1601; none if it has ended.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let process = open(pid)?;
    // A process that has ended can be opened for as long as somebody has it open.
    // SAFETY: the handle is open; the call does not wait.
    if unsafe { WaitForSingleObject(process.as_raw_handle(), 0) } == 0 {
        return None;
    }
    let mut times = [FILETIME::default(); 4];
    let [created, ended, in_kernel, in_program] = &mut times;
    // SAFETY: the handle is open, and all four live longer than the call.
    let answer = unsafe {
        GetProcessTimes(
            process.as_raw_handle(),
            created,
            ended,
            in_kernel,
            in_program,
        )
    };
    let [created, ..] = times;
    (answer != 0).then(|| number(created))
}

/// A time as one number.
pub(super) fn number(time: FILETIME) -> u64 {
    (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime)
}

/// A process, to ask about it.
pub(super) fn open(pid: u32) -> Option<OwnedHandle> {
    // SAFETY: takes numbers, and answers a new handle or null.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, 0, pid) };
    // SAFETY: the handle is new, and nobody else's.
    (!process.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(process) })
}

/// That a process started is told by the time of day, and so the boot does not matter.
#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn boot() -> Option<String> {
    Some("any".to_owned())
}

/// The name of the machine; empty where there is none.
pub(crate) fn host() -> String {
    let mut name = [0_u16; 256];
    let mut length = 256;
    let kind = ComputerNamePhysicalDnsHostname;
    // SAFETY: the buffer is as long as the call is told.
    let answer = unsafe { GetComputerNameExW(kind, name.as_mut_ptr(), &raw mut length) };
    match (answer, name.get(..length as usize)) {
        (0, _) | (_, None) => String::new(),
        (_, Some(name)) => OsString::from_wide(name).to_string_lossy().into_owned(),
    }
}

/// The right to wait for a process.
const SYNCHRONIZE: u32 = 0x0010_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_start() {
        let own = started(std::process::id());
        assert!(own.is_some() && own == started(std::process::id()));
        assert_eq!(started(u32::MAX), None);
    }

    #[test]
    fn the_machine_has_a_name() {
        assert!(!host().is_empty());
    }
}
