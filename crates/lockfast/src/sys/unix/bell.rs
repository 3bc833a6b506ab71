//! Being told that somebody closed a file.
//!
//! The kernel has no "wait for any of these locks". But a process that dies closes its files, and
//! one that lives can open and close a file to say that it released something; an inotify watch
//! sees both. To close an inotify descriptor takes the kernel milliseconds, to hang it on another
//! file microseconds: so it is made to be used again.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use watch::{Bell, ring};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use none::{Bell, ring};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch {
    use std::ffi::CString;
    use std::fs::{File, OpenOptions};
    use std::io::{self, Read};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::fs::OpenOptionsExt;
    use std::time::Instant;

    use super::super::{check, timespec, unwatch};
    use crate::sys::Range;
    use crate::sys::Rung;
    use crate::sys::fork::PrivateFile;

    const CLOSED: u32 = libc::IN_CLOSE_WRITE | libc::IN_CLOSE_NOWRITE;
    const CHANGED: u32 = libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ATTRIB;

    /// Hears what happens to one file at a time.
    #[derive(Debug)]
    pub(crate) struct Bell {
        inotify: PrivateFile,
        watch: Option<libc::c_int>,
    }

    impl Bell {
        /// One that hangs nowhere yet.
        ///
        /// # Errors
        ///
        /// When the user's limit of such descriptors is reached.
        pub(crate) fn new() -> io::Result<Self> {
            // SAFETY: takes flags and answers a descriptor.
            let fd = check(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
            // SAFETY: the descriptor is new, and nobody else's.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            Ok(Self {
                inotify: PrivateFile::without_file(File::from(owned))?,
                watch: None,
            })
        }

        /// Hears that file from now on, and what happened before is forgotten.
        pub(crate) fn hang(&mut self, file: &File, _permits: Range) -> io::Result<()> {
            self.must_be_there()?;
            let path = CString::new(descriptor_path(file))?;
            let fd = self.inotify.as_raw_fd();
            // SAFETY: the path is a string that ends in NUL, and outlives the call.
            let watch =
                check(unsafe { libc::inotify_add_watch(fd, path.as_ptr(), CLOSED | CHANGED) })?;
            if let Some(before) = self.watch.replace(watch).filter(|&before| before != watch) {
                // It is gone already if its file is; nobody cares.
                unwatch(fd, before);
            }
            while self.events()? != 0 {}
            Ok(())
        }

        /// It may go on hearing the file, as to hang it elsewhere is all that it costs to stop.
        #[allow(clippy::unused_self, reason = "the contract of the module")]
        pub(crate) fn take_down(&mut self) {}

        /// Sleeps until something happens to the file, until the instant, or until a signal.
        pub(crate) fn listen(&self, until: Instant) -> io::Result<Rung> {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = timespec(left);
            let mut poll = libc::pollfd {
                fd: self.inotify.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: both structures live longer than the call, and there is one of the first.
            let answer = unsafe {
                libc::ppoll(
                    &raw mut poll,
                    1,
                    &raw const timeout,
                    std::ptr::null::<libc::sigset_t>(),
                )
            };
            match check(answer) {
                Ok(0) => Ok(Rung::TimedOut),
                Ok(1..) if !self.inotify.is_there() => Err(lost()),
                Ok(_) => Ok(match self.events()? {
                    happened if happened & !CLOSED == 0 => Rung::Closed,
                    _ => Rung::Changed,
                }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Rung::Interrupted),
                Err(error) => Err(error),
            }
        }

        /// The program may have closed its descriptor and have another one of that number.
        fn must_be_there(&self) -> io::Result<()> {
            if self.inotify.is_there() {
                Ok(())
            } else {
                Err(lost())
            }
        }

        /// What has happened since, all in one.
        fn events(&self) -> io::Result<u32> {
            // Each has four numbers of 32 bits (which watch, what, two more) and, as it is no
            // directory that is watched, no name.
            const SIZE: usize = 16;
            let mut buffer = [0; 64 * SIZE];
            let read = match (&*self.inotify).read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                read => read?,
            };
            let masks = buffer[..read].chunks_exact(SIZE).map(|event| {
                u32::from_ne_bytes(event[4..8].try_into().expect("four bytes are four bytes"))
            });
            Ok(masks.fold(0, |all, mask| all | mask))
        }
    }

    fn lost() -> io::Error {
        io::Error::from_raw_os_error(libc::EBADF)
    }

    /// Whoever listens to that file hears it.
    pub(crate) fn ring(file: &File) {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(descriptor_path(file));
        // Where it can't be opened, those who listen look for themselves now and then.
        drop(opened);
    }

    fn descriptor_path(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::time::Duration;

        fn hung(file: &File) -> Bell {
            let mut bell = Bell::new().expect("a bell");
            bell.hang(file, ANY).expect("a watch");
            bell
        }

        const ANY: Range = Range { start: 0, len: 0 };

        fn soon() -> Instant {
            Instant::now() + Duration::from_secs(100)
        }

        #[test]
        fn a_ring_and_a_close_are_heard_and_a_deletion_is_told_from_them() {
            let file = tempfile::NamedTempFile::new().expect("a file");
            let other = File::open(file.path()).expect("it exists");
            let bell = hung(file.as_file());
            let now = Instant::now();
            assert_eq!(bell.listen(now).expect("silence"), Rung::TimedOut);
            ring(file.as_file());
            assert_eq!(bell.listen(soon()).expect("a ring"), Rung::Closed);
            drop(other);
            assert_eq!(bell.listen(soon()).expect("a close"), Rung::Closed);
            std::fs::remove_file(file.path()).expect("removed");
            assert_eq!(bell.listen(soon()).expect("a change"), Rung::Changed);
        }

        #[test]
        fn hung_elsewhere_it_hears_only_what_comes() {
            let (one, other) = (tempfile::tempfile(), tempfile::tempfile());
            let (one, other) = (one.expect("a file"), other.expect("a file"));
            let mut bell = hung(&one);
            ring(&one);
            bell.hang(&other, ANY).expect("a watch");
            ring(&one);
            // Whatever is left of the first file's watch is no close of it.
            while bell.listen(Instant::now()).expect("silence") == Rung::Changed {}
            ring(&other);
            assert_eq!(bell.listen(soon()).expect("a ring"), Rung::Closed);
        }
    }
}

/// Elsewhere nothing of the kind is used yet, and the wait asks again and again (see `wait`).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use std::fs::File;
    use std::io;
    use std::time::Instant;

    use crate::sys::Range;
    use crate::sys::Rung;

    /// Can't be made here.
    #[derive(Debug)]
    pub(crate) enum Bell {}

    impl Bell {
        /// Always refuses.
        pub(crate) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Can't be called.
        pub(crate) fn hang(&mut self, _file: &File, _permits: Range) -> io::Result<()> {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn take_down(&mut self) {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn listen(&self, _until: Instant) -> io::Result<Rung> {
            match *self {}
        }
    }

    /// Nobody listens.
    pub(crate) fn ring(_file: &File) {}
}
