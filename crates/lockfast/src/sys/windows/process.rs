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

/// Always 0: no lock has a tag that names its holder.
pub(crate) fn namespace() -> u64 {
    0
}

/// Always `None`: there are no namespaces.
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

/// Returns the number of the user that this process runs as, as text.
pub(super) fn user() -> io::Result<String> {
    let token = token()?;
    // The structure, and the number that it points to.
    let mut answer = [0_u64; 16];
    let size = u32::try_from(size_of_val(&answer)).expect("few bytes");
    let (to, mut length) = (answer.as_mut_ptr().cast(), 0);
    // SAFETY: the handle is open, and the answer is as large as the call says.
    check(unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, to, size, &raw mut length)
    })?;
    // SAFETY: written by the call above, and aligned as it must be.
    let user = unsafe { &*answer.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: it points into the answer.
    unsafe { text_of(user.User.Sid) }
}

/// Returns the token of this process: its user and its rights.
pub(super) fn token() -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: takes nothing, and answers a number that means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the handle is open, and what is written lives longer than the call.
    check(unsafe { OpenProcessToken(this, TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// Returns the number of a user or group, as text.
///
/// # Safety
///
/// The pointer must be to such a number.
pub(super) unsafe fn text_of(who: PSID) -> io::Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: the caller promises it; the output lives longer than the call.
    check(unsafe { ConvertSidToStringSidW(who, &raw mut text) })?;
    let mut length = 0;
    // SAFETY: the text ends with 0.
    while unsafe { *text.wrapping_add(length) } != 0 {
        length += 1;
    }
    // SAFETY: the loop above found the length.
    let told = OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: the system allocated it that way, and nobody else frees it.
    unsafe { LocalFree(text.cast()) };
    Ok(told.to_string_lossy().into_owned())
}

/// Returns the start of a process in units of 100 ns since 1601; `None` if it has ended.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let process = open(pid)?;
    // A process that has ended can be opened as long as somebody has it open.
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

/// Converts a time to one number.
pub(crate) fn number(time: FILETIME) -> u64 {
    (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime)
}

/// Opens a process, to ask about it.
pub(crate) fn open(pid: u32) -> Option<OwnedHandle> {
    // SAFETY: takes numbers, and answers a new handle or null.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, 0, pid) };
    // SAFETY: the handle is new, and nobody else's.
    (!process.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(process) })
}

/// Returns the same for every boot: the start of a process is a time of day here.
#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn boot() -> Option<String> {
    Some("any".to_owned())
}

/// Returns the name of the machine; empty where there is none.
pub(crate) fn host() -> String {
    let mut name = [0_u16; 256];
    let mut length = 256;
    let kind = ComputerNamePhysicalDnsHostname;
    // SAFETY: the buffer is as long as the call says.
    let answer = unsafe { GetComputerNameExW(kind, name.as_mut_ptr(), &raw mut length) };
    match (answer, name.get(..length as usize)) {
        (0, _) | (_, None) => String::new(),
        (_, Some(name)) => OsString::from_wide(name).to_string_lossy().into_owned(),
    }
}

/// Always `false`: it is not asked, as no lock has a tag here.
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
