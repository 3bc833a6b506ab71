//! Processes that have a file open, by the Restart Manager, which installers ask before they replace a file.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_SUCCESS, WIN32_ERROR};
use windows_sys::Win32::System::RestartManager::{
    CCH_RM_SESSION_KEY, RM_PROCESS_INFO, RmEndSession, RmGetList, RmRegisterResources,
    RmStartSession,
};

use crate::sys::process;

/// A process that has the file open.
#[derive(Debug)]
pub(super) struct ListedProcess {
    pub(super) pid: u32,
    /// Its start in units of 100 ns since 1601.
    pub(super) started: u64,
    /// The system's name for the application.
    pub(super) application: OsString,
}

/// Returns all processes that have the file at the path open, this one included.
pub(super) fn of(path: &Path) -> io::Result<Vec<ListedProcess>> {
    let session = Session::start()?;
    session.ask_about(path)?;
    let openers = session.openers()?;
    Ok(openers.iter().map(opener).collect())
}

/// A session of the Restart Manager; ended when it is dropped.
struct Session(u32);

impl Session {
    fn start() -> io::Result<Self> {
        let mut session = 0;
        let mut name = [0; CCH_RM_SESSION_KEY as usize + 1];
        // SAFETY: both live longer than the call, and the name is as long as it is documented to be.
        check(unsafe { RmStartSession(&raw mut session, 0, name.as_mut_ptr()) })?;
        Ok(Self(session))
    }

    fn ask_about(&self, path: &Path) -> io::Result<()> {
        let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        let (paths, none) = ([path.as_ptr()], std::ptr::null());
        // SAFETY: one path, which ends with 0, and nothing else; all live longer than the call.
        check(unsafe {
            RmRegisterResources(self.0, 1, paths.as_ptr(), 0, none, 0, std::ptr::null())
        })
    }

    fn openers(&self) -> io::Result<Vec<RM_PROCESS_INFO>> {
        let mut openers = Vec::new();
        loop {
            let (mut needed, mut reasons) = (0, 0);
            let mut count = u32::try_from(openers.len()).expect("few processes");
            // SAFETY: there is room for as many as the call says, and all live longer than it.
            let answer = unsafe {
                RmGetList(
                    self.0,
                    &raw mut needed,
                    &raw mut count,
                    openers.as_mut_ptr(),
                    &raw mut reasons,
                )
            };
            if answer == ERROR_MORE_DATA {
                // Others may open the file between the two calls, so it asks until all fit.
                openers.resize(needed as usize, RM_PROCESS_INFO::default());
                continue;
            }
            check(answer)?;
            openers.truncate(count as usize);
            return Ok(openers);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: takes a number, of a session that was started.
        unsafe { RmEndSession(self.0) };
    }
}

fn check(answer: WIN32_ERROR) -> io::Result<()> {
    match answer {
        ERROR_SUCCESS => Ok(()),
        number => Err(io::Error::from_raw_os_error(
            number.try_into().unwrap_or(i32::MAX),
        )),
    }
}

fn opener(info: &RM_PROCESS_INFO) -> ListedProcess {
    let name = info.strAppName.split(|&unit| unit == 0).next();
    ListedProcess {
        pid: info.Process.dwProcessId,
        started: process::number(info.Process.ProcessStartTime),
        application: OsString::from_wide(name.unwrap_or_default()),
    }
}
