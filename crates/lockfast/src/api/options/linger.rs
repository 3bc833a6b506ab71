//! The option to keep a lock that is not used.

use std::time::Duration;

use super::Options;

impl<L> Options<L> {
    /// Keeps the lock for up to that long after the kernel granted it, while nobody else wants it;
    /// not at all unless set.
    ///
    /// A release then leaves the kernel's lock with the process, and the next acquire takes it again
    /// without a system call: in nanoseconds, where it takes more than a microsecond otherwise. For
    /// locks that one process takes over and over and others seldom. As soon as somebody else wants it,
    /// the lock goes back to the kernel: at once if no thread of this process holds it, else with the
    /// next release. After that it is not kept for a while, which is longer the more often others want
    /// it. It is a lock of the kernel all the time: it is released when the process dies, and it works
    /// together with the same programs as one that does not linger.
    ///
    /// Others are heard when they open the lock file; those who use lockfast are heard whenever they
    /// wait, and an attempt of theirs that does not wait (`try_lock`) takes up to a millisecond when
    /// the lock is kept. A program that has the file open all the time and only asks now and then can't
    /// be heard: it gets the lock when the time is over, at which the lock is given back even if it is
    /// in use all the time, and then not kept for a sixteenth of that time (100 ms at most).
    ///
    /// **Another program that asks once**, without waiting (`flock -n`, `F_SETLK`), can find the lock
    /// held although nobody uses it: it asks before this process has heard that the file was opened.
    /// Let such programs wait, if only for a moment, or do without lingering.
    ///
    /// **A file that was deleted, replaced or renamed** is not noticed by the next acquire, because a
    /// lock that is kept is taken again without a look at the file. It is given up when the system
    /// reports the change: mostly within some milliseconds, after 20 to 60 ms on a busy machine. Until
    /// then this process takes the lock of the old file and others take that of the new one. Do not let
    /// locks linger whose files are deleted while they are in use.
    ///
    /// Dropping the last clone of the lock gives up what it keeps. A forked child keeps nothing, and
    /// when it opens the lock the parent gives it up. An [`RwLock`](crate::RwLock) keeps what it was
    /// held for last: to write, or to read, which any number of processes can do together; a writer is
    /// let in as above. What an upgradable reader held is not kept.
    ///
    /// The process has a thread that hears them, and two descriptors. While the lock is kept, that thread also
    /// looks into the kernel's table of locks, mostly once a second and at most 25 times: a program that opened
    /// the file long ago and now waits is let in by that.
    ///
    /// **A process that is stopped** (`SIGSTOP`, a debugger, a frozen container) while it keeps the lock
    /// can't hear that others want it: they wait until it goes on. This is why locks linger only on
    /// request.
    ///
    /// # Errors
    ///
    /// `open` refuses a time of zero, and linger together with
    /// [`remove_on_release`](Self::remove_on_release) or [`Verify::Path`](crate::Verify::Path), and for
    /// a semaphore. With [`is_unsupported`](crate::Error::is_unsupported) where it can't be noticed that
    /// others open the file.
    ///
    /// # Platform-specific behaviour
    ///
    /// Only on Linux, and on local file systems (ext2/3/4, XFS, Btrfs, F2FS, tmpfs, overlays). It needs
    /// inotify and `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter.lock");
    /// use lockfast::Lock;
    /// use std::time::Duration;
    ///
    /// let lock = Lock::options().linger(Duration::from_millis(100)).open(&path)?;
    /// for _ in 0..1_000_000 {
    ///     let _guard = lock.lock()?; // some nanoseconds, but for the first
    /// }
    /// // Nobody is inside, so others get in.
    /// let other = Lock::open(&path)?;
    /// drop(other.lock()?);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub fn linger(mut self, time: Duration) -> Self {
        self.settings.linger = Some(time);
        self
    }
}
