//! An inotify descriptor, and a sleep until descriptors can be read.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use super::{check, descriptor, timespec};
use crate::sys::fork::PrivateFile;

/// A descriptor of the file was closed.
pub(super) const CLOSED: u32 = libc::IN_CLOSE_WRITE | libc::IN_CLOSE_NOWRITE;

/// The file was moved or deleted, or its attributes changed.
pub(super) const CHANGED: u32 = libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ATTRIB;

/// A descriptor on which the kernel reports what happens to files.
///
/// The program may close it and reuse its number. So before each use, and after each sleep, the caller
/// checks that it is still the library's ([`ensure_there`]).
#[derive(Debug)]
pub(super) struct Inotify(PrivateFile);

/// The number of a file's watch. It is the same for all descriptions of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatchDescriptor(libc::c_int);

impl Inotify {
    /// Opens a descriptor without watches.
    ///
    /// # Errors
    ///
    /// When the user's limit of such descriptors is reached, or the limit of the process.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes flags and answers a descriptor.
        let fd = check(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
        // SAFETY: the descriptor is new, and nobody else's.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        PrivateFile::without_file(File::from(owned)).map(Self)
    }

    /// Watches the file for the events in the mask.
    ///
    /// # Errors
    ///
    /// When the user's limit of watches is reached, or without `/proc`.
    pub(super) fn add(&self, file: &File, mask: u32) -> io::Result<WatchDescriptor> {
        // By the descriptor: another file may be at the path by now.
        let path = CString::new(descriptor::path(file))?;
        // SAFETY: the path is a string that ends in NUL, and outlives the call.
        check(unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), mask) })
            .map(WatchDescriptor)
    }

    /// Ends a watch. The kernel has ended it already if its file is gone, so errors do not matter.
    pub(super) fn remove(&self, WatchDescriptor(watch): WatchDescriptor) {
        #[cfg(target_os = "android")]
        let watch = watch.unsigned_abs();
        // SAFETY: takes two numbers.
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch) };
    }

    /// Calls the function for each event that was reported, with its mask, and returns whether there was
    /// one. An event without a watch may be of any file: the kernel had too many to keep.
    pub(super) fn drain(
        &self,
        mut each: impl FnMut(Option<WatchDescriptor>, u32),
    ) -> io::Result<bool> {
        // Four numbers of 32 bits (watch, mask, two more), and no name, as no directory is watched.
        const SIZE: usize = 16;
        let mut buffer = [0; 64 * SIZE];
        let read = match (&*self.0).read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            read => read?,
        };
        for event in buffer[..read].chunks_exact(SIZE) {
            let bytes = |at| event[at..at + 4].try_into().expect("four bytes");
            let watch = libc::c_int::from_ne_bytes(bytes(0));
            each(
                // The kernel reports an overflow of its queue as an event of watch -1.
                (watch >= 0).then_some(WatchDescriptor(watch)),
                u32::from_ne_bytes(bytes(4)),
            );
        }
        Ok(read > 0)
    }

    /// The descriptor.
    pub(super) fn file(&self) -> &PrivateFile {
        &self.0
    }
}

/// Fails if one of the descriptors is no longer the library's.
pub(super) fn ensure_there(files: &[&PrivateFile]) -> io::Result<()> {
    if files.iter().all(|file| file.is_there()) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EBADF))
    }
}

/// Sleeps until one of the descriptors can be read, until the instant, or until a signal. Returns `false`
/// when the instant passed.
pub(super) fn sleep<const N: usize>(
    files: [&PrivateFile; N],
    until: Option<Instant>,
) -> io::Result<bool> {
    let mut polls = files.map(|file| libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    let left = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
    let timeout = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = libc::nfds_t::try_from(N).expect("few descriptors");
    // SAFETY: there are so many of the structures, and all live longer than the call.
    let answer = unsafe {
        libc::ppoll(
            polls.as_mut_ptr(),
            count,
            timeout,
            std::ptr::null::<libc::sigset_t>(),
        )
    };
    Ok(check(answer)? > 0)
}
