//! The order in which waiters are admitted.

/// The order in which waiters get the lock.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("printer.lock");
/// use lockfast::{Fairness, Lock};
///
/// let printer = Lock::options().fairness(Fairness::Fifo).open(&path)?;
/// drop(printer.lock()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fairness {
    /// First come, first served among those who wait, but a process that asks while the lock is free may
    /// barge in before them, for a millisecond. Then it goes to the end of the line.
    ///
    /// That is quick: a process that comes back at once need not wait for another to wake up, and threads
    /// of a handle may pass the lock on for a millisecond. Nobody starves.
    ///
    /// Programs that do not use lockfast know nothing of that line, and may overtake for longer.
    ///
    /// # Platform-specific behaviour
    ///
    /// The line is there on local file systems of Linux and Android. With
    /// [`Protocol::Flock`](crate::Protocol::Flock) there is none; a newcomer gives those who wait some time to
    /// wake up, but readers may keep a writer out. Elsewhere waiters come in the kernel's order.
    #[default]
    Barging,
    /// Strictly first come, first served: nobody gets in before one that waited already when it came.
    ///
    /// That goes for processes and handles, and for the threads of a handle among each other. A
    /// handle has one place in the line: a thread that waits behind others of its handle takes its place
    /// among the processes when those are through.
    ///
    /// Readers that came before a writer go before it, and those that came after it wait behind it.
    /// A caller that finds others waiting waits too, so `try_lock` and its like fail with
    /// [`is_contended`](crate::Error::is_contended) then, even if the lock itself is free for
    /// the moment. Processes that wait are woken one at a time. One that dies or gives up leaves the line.
    ///
    /// An uncontended lock costs one more kernel call. Where sections are short and many want in, every
    /// acquisition waits for a process to be woken, so fewer get in.
    ///
    /// It is a promise among those who chose it. Handles of the same path with another choice and
    /// programs that know nothing of it are excluded as always, but may overtake. While a program has the
    /// *whole* file locked, also to read, nobody can be in the line; the order begins when it is gone.
    ///
    /// # Platform-specific behaviour
    ///
    /// Where there are no locks of bytes, on Windows, whose kernel does not tell which one is in the way,
    /// and with [`Protocol::Flock`](crate::Protocol::Flock),
    /// opening fails with [`is_unsupported`](crate::Error::is_unsupported).
    Fifo,
}
