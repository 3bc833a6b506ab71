//! Security descriptors: owners and rights.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce,
    OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES,
};

use crate::sys::windows::check;
use crate::sys::windows::process::text_of;

/// A security descriptor that the system made; freed when it is dropped.
#[derive(Debug)]
pub(super) struct Descriptor {
    whole: PSECURITY_DESCRIPTOR,
    owner: PSID,
    list: *mut ACL,
}

/// An entry of an access control list that grants rights.
#[derive(Debug)]
pub(super) struct AccessEntry {
    /// The number of the user or group, as text.
    pub(super) who: String,
    pub(super) rights: u32,
    /// The flags of its `ACE_HEADER`.
    pub(super) flags: u32,
}

impl Descriptor {
    /// Returns the attributes of a new file or directory with this descriptor, which must outlive them.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).expect("some bytes"),
            lpSecurityDescriptor: self.as_ptr(),
            bInheritHandle: 0,
        }
    }

    /// Returns the descriptor of an open file or directory.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let (mut owner, mut list) = (std::ptr::null_mut(), std::ptr::null_mut());
        let mut whole = std::ptr::null_mut();
        let none = std::ptr::null_mut();
        // SAFETY: the handle is open, and all that is written lives longer than the call.
        let answer = unsafe {
            GetSecurityInfo(
                file.as_raw_handle(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &raw mut owner,
                none,
                &raw mut list,
                std::ptr::null_mut(),
                &raw mut whole,
            )
        };
        if answer != ERROR_SUCCESS {
            let number = answer.try_into().unwrap_or(i32::MAX);
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(Self { whole, owner, list })
    }

    /// Makes a descriptor from the system's notation, without its parts.
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut whole = std::ptr::null_mut();
        // SAFETY: the text ends with 0, and what is written lives longer than the call.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut whole,
                std::ptr::null_mut(),
            )
        })?;
        Ok(Self {
            whole,
            owner: std::ptr::null_mut(),
            list: std::ptr::null_mut(),
        })
    }

    /// Returns the pointer for calls that take a descriptor.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.whole
    }

    /// Returns the number of the owner, as text.
    pub(super) fn owner(&self) -> io::Result<String> {
        // SAFETY: it is a part of what the system made, and lives as long as this.
        unsafe { text_of(self.owner) }
    }

    /// Returns the entries that grant rights; `None` if there is no list, which grants everybody everything.
    pub(super) fn allowed(&self) -> io::Result<Option<Vec<AccessEntry>>> {
        if self.list.is_null() {
            return Ok(None);
        }
        // SAFETY: it is a part of what the system made, and lives as long as this.
        let count = unsafe { (*self.list).AceCount };
        let mut entries = Vec::new();
        for number in 0..count {
            let mut entry = std::ptr::null_mut();
            // SAFETY: as above; of a number that is too great the call says so.
            check(unsafe { GetAce(self.list, number.into(), &raw mut entry) })?;
            // SAFETY: each entry begins with a header.
            let header = unsafe { *entry.cast::<ACE_HEADER>() };
            match header.AceType {
                ALLOWED => {
                    let allowed = entry.cast::<ACCESS_ALLOWED_ACE>();
                    // SAFETY: that is what an entry of this sort is.
                    let rights = unsafe { (*allowed).Mask };
                    let who = entry.wrapping_byte_add(offset_of!(ACCESS_ALLOWED_ACE, SidStart));
                    // SAFETY: as above; who it is for begins there and ends within the entry.
                    let who = unsafe { text_of(who) }?;
                    entries.push(AccessEntry {
                        who,
                        rights,
                        flags: header.AceFlags.into(),
                    });
                }
                // It takes rights away. Without it others seem to have more of them, which errs to the safe
                // side.
                DENIED => {}
                // An entry with a condition or for one property may grant anything to anybody.
                _ => entries.push(AccessEntry {
                    who: String::new(),
                    rights: u32::MAX,
                    flags: header.AceFlags.into(),
                }),
            }
        }
        Ok(Some(entries))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it that way, and nobody else frees it.
        unsafe { LocalFree(self.whole) };
    }
}

const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
