//! Being told of all that happens to many files, in one thread.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use inotify::{Watch, Watches, is_awaited};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use none::{Watch, Watches, is_awaited};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify {
    use std::ffi::CString;
    use std::fs::{self, File};
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::time::Instant;

    use super::super::{check, unwatch};
    use crate::sys::Event;
    use crate::sys::fork::PrivateFile;

    const CLOSED: u32 = libc::IN_CLOSE_WRITE | libc::IN_CLOSE_NOWRITE;
    const CHANGED: u32 = libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ATTRIB;

    /// Does anybody sleep in the kernel's queues until a lock of that file is free? Only those of this pid
    /// namespace and its children can be seen.
    pub(crate) fn is_awaited(file: &File) -> bool {
        let (Ok(status), Ok(table)) = (file.metadata(), fs::read_to_string("/proc/locks")) else {
            return false;
        };
        // The device may have another number there; to be wrong about it does no harm.
        let number = format!(":{}", status.ino());
        let is_meant = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            words.any(|word| word == "->") && words.any(|word| word.ends_with(&number))
        };
        table.lines().any(is_meant)
    }

    /// The files that are watched.
    #[derive(Debug)]
    pub(crate) struct Watches {
        inotify: PrivateFile,
        alarm: PrivateFile,
    }

    /// A file that is watched; the same number for each description of it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Watch(libc::c_int);

    impl Watches {
        /// None yet.
        ///
        /// # Errors
        ///
        /// When the user's limit of such descriptors is reached, or the process's.
        pub(crate) fn new() -> io::Result<Self> {
            let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
            // SAFETY: takes flags and answers a descriptor.
            let inotify = check(unsafe { libc::inotify_init1(flags) })?;
            // SAFETY: the descriptor is new, and nobody else's.
            let inotify = unsafe { OwnedFd::from_raw_fd(inotify) };
            let flags = libc::EFD_NONBLOCK | libc::EFD_CLOEXEC;
            // SAFETY: takes a number and flags and answers a descriptor.
            let alarm = check(unsafe { libc::eventfd(0, flags) })?;
            // SAFETY: as above.
            let alarm = unsafe { OwnedFd::from_raw_fd(alarm) };
            Ok(Self {
                inotify: PrivateFile::without_file(File::from(inotify))?,
                alarm: PrivateFile::without_file(File::from(alarm))?,
            })
        }

        /// Watches that file from now on.
        ///
        /// # Errors
        ///
        /// When the user's limit of watches is reached, or without `/proc`.
        pub(crate) fn add(&self, file: &File) -> io::Result<Watch> {
            self.must_be_there()?;
            let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            let fd = self.inotify.as_raw_fd();
            // SAFETY: the path is a string that ends in NUL, and outlives the call.
            check(unsafe {
                libc::inotify_add_watch(fd, path.as_ptr(), libc::IN_OPEN | CLOSED | CHANGED)
            })
            .map(Watch)
        }

        /// Does not any more. It is gone already if its file is; nobody cares.
        pub(crate) fn remove(&self, Watch(number): Watch) {
            if self.inotify.is_there() {
                unwatch(self.inotify.as_raw_fd(), number);
            }
        }

        /// Whether its descriptors are still its own. If the program has closed them, nothing is heard
        /// any more.
        pub(crate) fn is_there(&self) -> bool {
            self.inotify.is_there() && self.alarm.is_there()
        }

        /// Nothing of the program's is to be read or written.
        fn must_be_there(&self) -> io::Result<()> {
            if self.is_there() {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(libc::EBADF))
            }
        }

        /// Sleeps until something happens, until the instant, or until somebody rings; tells what
        /// happened, in order. None is any file: it is not known which.
        pub(crate) fn wait(
            &self,
            until: Option<Instant>,
        ) -> io::Result<Vec<(Option<Watch>, Event)>> {
            let input = |file: &File| libc::pollfd {
                fd: file.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            self.must_be_there()?;
            let mut polls = [input(&self.inotify), input(&self.alarm)];
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Rounded up, so that it is not asked again and again before the instant.
            let millis = left.map_or(-1, |left| {
                i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
            });
            // SAFETY: there are two of the structures, which live longer than the call.
            let answer = unsafe { libc::poll(polls.as_mut_ptr(), 2, millis) };
            match check(answer) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.must_be_there()?;
            let mut count = [0; 8];
            match (&*self.alarm).read(&mut count) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            self.events()
        }

        /// Makes the one who waits come back; `false` when nobody would hear it.
        pub(crate) fn ring(&self) -> bool {
            // The write fails only when it has been rung 2^64 times.
            self.is_there() && (&*self.alarm).write(&1_u64.to_ne_bytes()).is_ok()
        }

        fn events(&self) -> io::Result<Vec<(Option<Watch>, Event)>> {
            // Each has four numbers of 32 bits (which watch, what, two more) and, as it is no
            // directory that is watched, no name.
            const SIZE: usize = 16;
            let mut buffer = [0; 64 * SIZE];
            let read = match (&*self.inotify).read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                read => read?,
            };
            let event = |bytes: &[u8]| {
                let bytes = |at| bytes[at..at + 4].try_into().expect("four bytes");
                let watch = libc::c_int::from_ne_bytes(bytes(0));
                let event = match u32::from_ne_bytes(bytes(4)) {
                    mask if mask & libc::IN_OPEN != 0 => Event::Opened,
                    mask if mask & CLOSED != 0 => Event::Closed,
                    // Or there was too much at once, which the kernel says by a watch below 0.
                    _ => Event::Changed,
                };
                ((watch >= 0).then_some(Watch(watch)), event)
            };
            Ok(buffer[..read].chunks_exact(SIZE).map(event).collect())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::time::Duration;

        #[test]
        fn an_open_a_close_and_a_deletion_are_seen_and_a_write_is_not() {
            let file = tempfile::NamedTempFile::new().expect("a file");
            let watches = Watches::new().expect("a descriptor");
            let watch = watches.add(file.as_file()).expect("a watch");
            assert_eq!(watches.add(file.as_file()).expect("the same"), watch);
            let now = || watches.wait(Some(Instant::now())).expect("no error");
            assert_eq!(now(), []);
            file.as_file().write_all(b"content").expect("written");
            assert_eq!(now(), []);
            let other = File::open(file.path()).expect("it exists");
            assert_eq!(now(), [(Some(watch), Event::Opened)]);
            drop(other);
            assert_eq!(now(), [(Some(watch), Event::Closed)]);
            std::fs::remove_file(file.path()).expect("removed");
            assert!(now().contains(&(Some(watch), Event::Changed)));
            watches.remove(watch);
        }

        #[test]
        fn a_ring_ends_the_wait_and_so_does_the_instant() {
            let watches = Watches::new().expect("a descriptor");
            watches.ring();
            assert_eq!(watches.wait(None).expect("no error"), []);
            let soon = Instant::now() + Duration::from_millis(5);
            while Instant::now() < soon {
                assert_eq!(watches.wait(Some(soon)).expect("no error"), []);
            }
        }
    }
}

/// Elsewhere there is nothing that tells who opens a file.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use std::fs::File;
    use std::io;
    use std::time::Instant;

    use crate::sys::Event;

    /// Nobody is seen.
    pub(crate) fn is_awaited(_file: &File) -> bool {
        false
    }

    /// Can't be made here.
    #[derive(Debug)]
    pub(crate) enum Watches {}

    /// Can't be made here.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) enum Watch {}

    impl Watches {
        /// Always refuses.
        pub(crate) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Can't be called.
        pub(crate) fn add(&self, _file: &File) -> io::Result<Watch> {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn remove(&self, _watch: Watch) {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn wait(
            &self,
            _until: Option<Instant>,
        ) -> io::Result<Vec<(Option<Watch>, Event)>> {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn ring(&self) -> bool {
            match *self {}
        }

        /// Can't be called.
        pub(crate) fn is_there(&self) -> bool {
            match *self {}
        }
    }
}
