//! Wakes a thread when a file is closed.
//!
//! The kernel has no "wait for any of these locks". But a process that dies closes its files, a process
//! that lives can open and close a file to say that it released something, and an inotify watch sees both.
//! To close an inotify descriptor takes the kernel milliseconds, to watch another file with it takes
//! microseconds. So a notifier is made to be used again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use super::descriptor;
use super::inotify::{self, CHANGED, CLOSED, Inotify, WatchDescriptor};
use crate::sys::{Notified, Range};

/// Wakes a thread when something happens to a file; one file at a time.
#[derive(Debug)]
pub(crate) struct Notifier {
    inotify: Inotify,
    watch: Option<WatchDescriptor>,
}

impl Notifier {
    /// Makes a notifier that watches nothing.
    ///
    /// # Errors
    ///
    /// When the user's limit of such descriptors is reached.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::new()?,
            watch: None,
        })
    }

    /// Watches the file from now on, and forgets what happened before.
    pub(crate) fn watch(&mut self, file: &File, _permits: Range) -> io::Result<()> {
        inotify::ensure_there(&[self.inotify.file()])?;
        let watch = self.inotify.add(file, CLOSED | CHANGED)?;
        if let Some(before) = self.watch.replace(watch).filter(|&before| before != watch) {
            self.inotify.remove(before);
        }
        // Drops events of the file before. Those of this one that go with them came before the caller's next look.
        while self.inotify.drain(|_, _| {})? {}
        Ok(())
    }

    /// Allows the watch to end. It ends with the next [`watch`](Self::watch), which costs no more.
    #[allow(clippy::unused_self, reason = "the contract of the module")]
    pub(crate) fn unwatch(&mut self) {}

    /// Sleeps until something happens to the file, until the instant, or until a signal.
    pub(crate) fn wait(&self, until: Instant) -> io::Result<Notified> {
        match inotify::sleep([self.inotify.file()], Some(until)) {
            Ok(false) => return Ok(Notified::TimedOut),
            Ok(true) => inotify::ensure_there(&[self.inotify.file()])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Notified::Interrupted);
            }
            Err(error) => return Err(error),
        }
        let mut happened = 0;
        self.inotify.drain(|_, mask| happened |= mask)?;
        Ok(if happened & !CLOSED == 0 {
            Notified::Closed
        } else {
            Notified::Changed
        })
    }
}

/// Wakes all who watch the file.
pub(crate) fn notify(file: &File) {
    let opened = OpenOptions::new()
        .read(true)
        // O_NONBLOCK, so that a lease of another program does not hold up a release.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(descriptor::path(file));
    // The close is reported to all who watch the file, as that of a process that dies is.
    // Where it can't be opened, the waiters look for themselves now and then.
    drop(opened);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn watching(file: &File) -> Notifier {
        let mut notifier = Notifier::new().expect("a notifier");
        notifier.watch(file, ANY).expect("a watch");
        notifier
    }

    const ANY: Range = Range { start: 0, len: 0 };

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(100)
    }

    #[test]
    fn rings_closes_and_deletions_are_heard_and_distinguished() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let other = File::open(file.path()).expect("it exists");
        let notifier = watching(file.as_file());
        let now = Instant::now();
        assert_eq!(notifier.wait(now).expect("silence"), Notified::TimedOut);
        notify(file.as_file());
        assert_eq!(notifier.wait(soon()).expect("a ring"), Notified::Closed);
        drop(other);
        assert_eq!(notifier.wait(soon()).expect("a close"), Notified::Closed);
        std::fs::remove_file(file.path()).expect("removed");
        assert_eq!(notifier.wait(soon()).expect("a change"), Notified::Changed);
    }

    #[test]
    fn a_notifier_hears_only_events_that_come_after_it() {
        let (one, other) = (tempfile::tempfile(), tempfile::tempfile());
        let (one, other) = (one.expect("a file"), other.expect("a file"));
        let mut notifier = watching(&one);
        notify(&one);
        notifier.watch(&other, ANY).expect("a watch");
        notify(&one);
        // Whatever is left of the first file's watch is no close of it.
        while notifier.wait(Instant::now()).expect("silence") == Notified::Changed {}
        notify(&other);
        assert_eq!(notifier.wait(soon()).expect("a ring"), Notified::Closed);
    }
}
