//! Processes, users and the machine.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{FILETIME, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{GetTokenInformation, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser};
use windows_sys::Win32::System::SystemInformation::{
    ComputerNamePhysicalDnsHostname, GetComputerNameExW,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessTimes, OpenProcess, OpenProcessToken,
    PROCESS_QUERY_LIMITED_INFORMATION, WaitForSingleObject,
};

use super::check;

/// No lock has a tag by which its holder could be named.
pub(crate) fn namespace() -> u64 {
    0
}

/// There are none.
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

/// The number of the user that this process runs as, as text.
pub(super) fn user() -> io::Result<String> {
    let token = token()?;
    // The structure, and what it points to.
    let mut answer = [0_u64; 16];
    let size = u32::try_from(size_of_val(&answer)).expect("few bytes");
    let (to, mut length) = (answer.as_mut_ptr().cast(), 0);
    // SAFETY: the handle is open, and the answer is as large as the call is told.
    check(unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, to, size, &raw mut length)
    })?;
    // SAFETY: written by the call above, and aligned as it must be.
    let user = unsafe { &*answer.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: it points into the answer.
    unsafe { text_of(user.User.Sid) }
}

/// What this process may do, and as whom, to ask about it.
pub(super) fn token() -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: takes nothing, and answers a number that means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the handle is open, and what is written lives longer than the call.
    check(unsafe { OpenProcessToken(this, TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The number of a user or group, as text.
///
/// # Safety
///
/// There must be one.
pub(super) unsafe fn text_of(who: PSID) -> io::Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: the caller says so; what is written lives longer than the call.
    check(unsafe { ConvertSidToStringSidW(who, &raw mut text) })?;
    let mut length = 0;
    // SAFETY: the text ends with 0.
    while unsafe { *text.wrapping_add(length) } != 0 {
        length += 1;
    }
    // SAFETY: so long it is.
    let told = OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: the system allocated it that way, and nobody else frees it.
    unsafe { LocalFree(text.cast()) };
    Ok(told.to_string_lossy().into_owned())
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
pub(crate) fn number(time: FILETIME) -> u64 {
    (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime)
}

/// A process, to ask about it.
pub(crate) fn open(pid: u32) -> Option<OwnedHandle> {
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

/// Not asked: no lock has the tag of its holder here.
pub(crate) fn has_ended(_pid: u32) -> bool {
    false
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

pub(crate) fn name_this_thread(_name: &str) {}
