//! Volumes.

use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    GetDriveTypeW, GetVolumeInformationW, GetVolumeNameForVolumeMountPointW, GetVolumePathNameW,
};
use windows_sys::Win32::System::WindowsProgramming::DRIVE_REMOTE;

use super::check;

/// A volume.
#[derive(Debug)]
pub(crate) struct Volume {
    /// For example `NTFS`.
    pub(crate) file_system: String,
    pub(crate) name: OsString,
    /// For example `C:\`.
    pub(crate) root: OsString,
    /// Whether a server has it.
    pub(crate) is_remote: bool,
}

/// Returns the volume of a directory.
pub(crate) fn volume(directory: &Path) -> Option<Volume> {
    const LONGEST: u32 = 1 << 15;
    let directory: Vec<u16> = directory.as_os_str().encode_wide().chain([0]).collect();
    let mut root = vec![0; LONGEST as usize];
    // SAFETY: the path ends with 0, and the buffer is as long as the call is told.
    check(unsafe { GetVolumePathNameW(directory.as_ptr(), root.as_mut_ptr(), LONGEST) }).ok()?;
    let (mut system, none) = ([0; 64], std::ptr::null_mut());
    // SAFETY: the path ends with 0, the buffer is as long as the call is told, and no other output
    // is requested.
    let answer = unsafe {
        GetVolumeInformationW(
            root.as_ptr(),
            std::ptr::null_mut(),
            0,
            none,
            none,
            none,
            system.as_mut_ptr(),
            64,
        )
    };
    check(answer).ok()?;
    // SAFETY: the path ends with 0.
    let is_remote = unsafe { GetDriveTypeW(root.as_ptr()) } == DRIVE_REMOTE;
    let mut name = [0; 64];
    // SAFETY: the path ends with 0, and the buffer is as long as the call is told.
    let answer = unsafe { GetVolumeNameForVolumeMountPointW(root.as_ptr(), name.as_mut_ptr(), 64) };
    let root = text(&root);
    Some(Volume {
        file_system: text(&system).to_string_lossy().into_owned(),
        // A network drive has none.
        name: check(answer).map_or_else(|_| root.clone(), |()| text(&name)),
        root,
        is_remote,
    })
}

/// Returns the text before the first 0.
fn text(units: &[u16]) -> OsString {
    OsString::from_wide(units.split(|&unit| unit == 0).next().unwrap_or_default())
}
