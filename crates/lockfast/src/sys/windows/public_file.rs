//! Files that every user may lock.

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{CREATE_NEW, CreateFileW};

use super::descriptor::Descriptor;
use super::{process, wide};

/// Creates a file that everybody may lock.
pub(super) fn create(path: &Path, flags: u32, access: u32, share: u32) -> io::Result<OwnedHandle> {
    let user = process::user()?;
    // Everybody (WD) may read and write, but neither delete the file nor change its rights.
    let rights = format!("O:{user}D:P(A;;FA;;;{user})(A;;FA;;;SY)(A;;FA;;;BA)(A;;FRFW;;;WD)");
    let descriptor = Descriptor::parse(&rights)?;
    let attributes = descriptor.attributes();
    let path = wide(path);
    // SAFETY: the path ends with 0, and the attributes live longer than the call.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            access,
            share,
            &raw const attributes,
            CREATE_NEW,
            flags,
            std::ptr::null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
