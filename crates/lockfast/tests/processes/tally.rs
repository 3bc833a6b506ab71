//! A plain number in memory that processes share, which only a lock keeps right.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

/// The number, in a file beside the lock.
pub(crate) struct Tally {
    number: NonNull<u64>,
}

impl Tally {
    #[allow(unsafe_code, reason = "shared memory")]
    pub(crate) fn beside(lock: &Path) -> Self {
        const SIZE: usize = 8;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock.with_extension("tally"))
            .expect("a file");
        file.set_len(SIZE as u64).expect("room for a number");
        // SAFETY: a new mapping of a file that is as long, at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(address, libc::MAP_FAILED);
        Self {
            number: NonNull::new(address).expect("never at 0").cast(),
        }
    }

    /// Adds one in two steps, between which another's would be lost.
    #[allow(unsafe_code, reason = "shared memory")]
    pub(crate) fn add(&self) {
        // SAFETY: it is mapped for good; whoever has the lock is alone, which the test is about.
        let number = unsafe { self.number.as_ptr().read_volatile() };
        std::hint::spin_loop();
        // SAFETY: as above.
        unsafe { self.number.as_ptr().write_volatile(number + 1) };
    }

    #[allow(unsafe_code, reason = "shared memory")]
    pub(crate) fn count(&self) -> u64 {
        // SAFETY: it is mapped for good.
        unsafe { self.number.as_ptr().read_volatile() }
    }
}
