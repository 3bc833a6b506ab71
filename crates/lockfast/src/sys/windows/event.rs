//! Events, by which threads and requests wake each other.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

/// An event of the system, which stays set until it is reset.
#[derive(Debug)]
pub(super) struct WakeEvent(OwnedHandle);

impl WakeEvent {
    /// Makes an event that is not set.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no attributes, no name; the call answers a new handle, or null.
        let handle = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is new, and nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Sets it, and wakes the threads that sleep on it.
    pub(super) fn set(&self) {
        set(self.handle());
    }

    /// Resets it.
    pub(super) fn reset(&self) {
        // SAFETY: the handle is open and an event's; nothing else can fail.
        unsafe { ResetEvent(self.handle()) };
    }

    /// Returns its handle.
    pub(super) fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }
}

/// Sets the event with this handle. If it is gone, the kernel refuses.
pub(super) fn set(handle: HANDLE) {
    // SAFETY: takes a number, and refuses one that is not an event's.
    unsafe { SetEvent(handle) };
}
