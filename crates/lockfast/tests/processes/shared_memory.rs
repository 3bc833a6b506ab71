//! Memory that processes share, in a file.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

/// Maps a file of that size for good, and creates it if it is not there.
#[allow(unsafe_code, reason = "shared memory")]
pub(crate) fn map<T>(path: &Path, size: usize) -> NonNull<T> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("a file");
    file.set_len(size as u64).expect("room for it");
    // SAFETY: a new mapping of a file that is as long, at an address of the kernel's choice.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(address, libc::MAP_FAILED);
    NonNull::new(address).expect("never at 0").cast()
}
