//! Watches of many files, for one thread.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::check;
use super::inotify::{self, CHANGED, CLOSED, Inotify};
use crate::sys::Event;
use crate::sys::fork::PrivateFile;

/// A file that is watched.
pub(crate) type Watch = inotify::WatchDescriptor;

/// Whether somebody sleeps in the kernel's queues until a lock of the file is free. Only waiters of this pid
/// namespace and its children can be seen.
pub(crate) fn is_awaited(file: &File) -> bool {
    let (Ok(status), Ok(table)) = (file.metadata(), fs::read_to_string("/proc/locks")) else {
        return false;
    };
    // The device may have another number there, so it is not compared; a wrong answer does no harm.
    let number = format!(":{}", status.ino());
    // A line of a waiter has an arrow before it, and names the file by device and inode.
    let is_meant = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.any(|word| word == "->") && words.any(|word| word.ends_with(&number))
    };
    table.lines().any(is_meant)
}

/// The files that are watched.
#[derive(Debug)]
pub(crate) struct Watches {
    inotify: Inotify,
    /// An eventfd that ends the wait.
    alarm: PrivateFile,
}

impl Watches {
    /// Makes an empty set.
    ///
    /// # Errors
    ///
    /// When the user's limit of such descriptors is reached, or the limit of the process.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = Inotify::new()?;
        // SAFETY: takes a number and flags and answers a descriptor.
        let alarm = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the descriptor is new, and nobody else's.
        let alarm = unsafe { OwnedFd::from_raw_fd(alarm) };
        Ok(Self {
            inotify,
            alarm: PrivateFile::without_file(File::from(alarm))?,
        })
    }

    /// Watches the file from now on.
    ///
    /// # Errors
    ///
    /// When the user's limit of watches is reached, or without `/proc`.
    pub(crate) fn add(&self, file: &File) -> io::Result<Watch> {
        self.ensure_there()?;
        self.inotify.add(file, libc::IN_OPEN | CLOSED | CHANGED)
    }

    /// Watches the file no more.
    pub(crate) fn remove(&self, watch: Watch) {
        if self.inotify.file().is_there() {
            self.inotify.remove(watch);
        }
    }

    /// Whether the descriptors are still the library's. If the program has closed them, nothing is reported
    /// any more.
    pub(crate) fn is_there(&self) -> bool {
        self.ensure_there().is_ok()
    }

    /// Nothing of the program's may be read or written.
    fn ensure_there(&self) -> io::Result<()> {
        inotify::ensure_there(&[self.inotify.file(), &self.alarm])
    }

    /// Sleeps until something happens, until the instant, or until [`ring`](Self::ring). Returns what
    /// happened, in order. An event without a watch may be of any file.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Vec<(Option<Watch>, Event)>> {
        self.ensure_there()?;
        match inotify::sleep([self.inotify.file(), &self.alarm], until) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // The program may have closed them during the sleep.
        self.ensure_there()?;
        // Empties the counter: without that, the next sleep would end at once.
        match (&*self.alarm).read(&mut [0; 8]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        let mut events = Vec::new();
        self.inotify.drain(|watch, mask| {
            let event = match mask {
                mask if mask & libc::IN_OPEN != 0 => Event::Opened,
                mask if mask & CLOSED != 0 => Event::Closed,
                _ => Event::Changed,
            };
            events.push((watch, event));
        })?;
        Ok(events)
    }

    /// Ends the wait; `false` when nobody would notice.
    pub(crate) fn ring(&self) -> bool {
        // The write fails only after 2^64 of them.
        self.is_there() && (&*self.alarm).write(&1_u64.to_ne_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn opens_closes_and_deletions_are_seen_and_writes_are_not() {
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
