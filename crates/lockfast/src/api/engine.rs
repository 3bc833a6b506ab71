//! The contract between the primitives and an engine: the system that keeps the locks.
//!
//! [`Lock`](crate::Lock), [`RwLock`](crate::RwLock), [`ReentrantLock`](crate::ReentrantLock) and
//! [`Semaphore`](crate::Semaphore), their guards and all forms of waiting are written once, over the traits of
//! this module. [`Files`] is the engine of this crate: a lock is a file. Another engine keeps its locks
//! elsewhere, for example on a server, and implements four traits:
//!
//! | trait | is |
//! |---|---|
//! | [`RawLock`] | an opened lock: tries, waits as a thread or as a task |
//! | [`RawHold`] | a lock that is held: converts, releases, tells whether it was lost |
//! | [`RawSemaphore`] | an opened semaphore |
//! | [`RawPermits`] | permits that are held |
//!
//! [`Engine`] names the four. The compiler generates the code for each engine, so that a free lock of a file
//! costs the same as without this contract.
//!
//! **This module is for authors of engines and not stable**: it may change in any release.

use std::future::{Future, pending};
use std::time::{Duration, Instant};

use crate::file::named;
use crate::types::resource::Resource;
use crate::wait::{self, WaitEnd};

pub use crate::protocol::plan::Mode;
pub use crate::types::error::{Cause, Operation};
use crate::types::error::{Error, Result};
pub use crate::types::wait_limit::WaitLimit;

/// The engine of this crate: each lock is a file, and the kernel keeps it.
#[derive(Clone, Copy, Debug)]
pub enum Files {}

/// A system that keeps locks, as a type that is never made.
pub trait Engine: Sized + 'static {
    /// An opened lock.
    type Lock: RawLock;
    /// An opened semaphore.
    type Semaphore: RawSemaphore;
}

/// An opened lock of an engine, which threads and tasks share. Clones are the same lock.
pub trait RawLock: Clone + Send + Sync + 'static {
    /// The lock while it is held.
    type Hold: RawHold;

    /// The name of the lock, for errors and for the order in which several are taken.
    fn resource(&self) -> Resource;

    /// The features that this lock has. The others are errors when they are used, never a weaker lock.
    fn capabilities(&self) -> Capabilities;

    /// Takes the lock in this mode.
    ///
    /// # Blocking
    ///
    /// Blocks the thread until the limit, or until a [`CancelToken`](crate::CancelToken) ends the wait;
    /// [`block_on`] does both for an engine that waits by futures.
    ///
    /// # Errors
    ///
    /// By kind: `Contended` without a wait, `TimedOut`, `Cancelled`, `Deadlock` if the calling thread holds the
    /// lock and the limit is [`WaitLimit::Forever`], `Unsupported` for a mode that the lock does not have.
    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<Self::Hold>;

    /// Takes the lock in this mode as a task.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait. When the drop is over, the lock is not held and has no place in a
    /// queue.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), without `Cancelled` and `Deadlock`.
    fn acquire_async(
        &self,
        mode: Mode,
        limit: WaitLimit,
    ) -> impl Future<Output = Result<Self::Hold>> + Send;
}

/// A lock of an engine while it is held. Dropping it releases the lock and never panics.
pub trait RawHold: Send + Sync + Unpin + Sized + 'static {
    /// The name of the lock.
    fn resource(&self) -> Resource;

    /// Releases the lock; does nothing after the first time.
    ///
    /// # Errors
    ///
    /// When it could not be released, or was not held any more.
    fn release(&mut self) -> Result<()>;

    /// Turns an upgradable reader into the writer; leaves it as it was on an error.
    ///
    /// # Errors
    ///
    /// As [`RawLock::acquire`].
    fn upgrade(&mut self, limit: WaitLimit) -> Result<()> {
        let _ = limit;
        Err(unsupported(self.resource(), Operation::Upgrade))
    }

    /// Turns an upgradable reader into the writer, as a task. Dropping the future ends the wait.
    ///
    /// # Errors
    ///
    /// As [`RawLock::acquire_async`].
    fn upgrade_async(&mut self) -> impl Future<Output = Result<()>> + Send {
        let resource = self.resource();
        async { Err(unsupported(resource, Operation::Upgrade)) }
    }

    /// Turns a stronger mode into a weaker one; leaves it as it was on an error.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the engine can't do that without giving up the lock in between.
    fn downgrade(&mut self, to: Mode) -> Result<()> {
        let _ = to;
        Err(unsupported(self.resource(), Operation::Downgrade))
    }

    /// Forgets which thread took the lock, so that a wait of that thread is no deadlock.
    fn forget_thread(&mut self) {}

    /// The fencing token of this hold, greater than that of every hold before.
    fn token(&self) -> Option<u64> {
        None
    }

    /// The epoch of the token: tokens of different epochs can't be compared.
    fn epoch(&self) -> u64 {
        0
    }

    /// Whether the lock is still held, as far as this process knows.
    fn state(&self) -> HoldState {
        HoldState::Valid
    }

    /// Completes when the lock is lost or not confirmed in time; never, where a lock can't be lost.
    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    /// The time until the engine may give the lock to others, if it does not confirm the lease before; `None`
    /// without a lease.
    fn lease_left(&self) -> Option<Duration> {
        None
    }
}

/// An opened semaphore of an engine. Clones are the same semaphore.
pub trait RawSemaphore: Clone + Send + Sync + 'static {
    /// Permits that are held.
    type Permits: RawPermits;

    /// The name of the semaphore.
    fn resource(&self) -> Resource;

    /// The number of permits, taken or not.
    fn permits(&self) -> u32;

    /// The number of permits that nobody has at the moment.
    ///
    /// # Errors
    ///
    /// When the engine can't be asked.
    fn available_permits(&self) -> Result<u32>;

    /// Takes that many permits, all or none. There are that many, and it is not 0.
    ///
    /// # Errors
    ///
    /// As [`RawLock::acquire`].
    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<Self::Permits>;

    /// Takes that many permits as a task, all or none. Dropping the future ends the wait.
    ///
    /// # Errors
    ///
    /// As [`RawLock::acquire_async`].
    fn acquire_async(
        &self,
        count: u32,
        limit: WaitLimit,
    ) -> impl Future<Output = Result<Self::Permits>> + Send;
}

/// Permits of an engine while they are held. Dropping them gives them back and never panics.
pub trait RawPermits: Send + Sync + Unpin + Sized + 'static {
    /// The name of the semaphore.
    fn resource(&self) -> Resource;

    /// The number of permits.
    fn count(&self) -> u32;

    /// Gives the permits back; does nothing after the first time.
    ///
    /// # Errors
    ///
    /// When one could not be given back, or was lost before.
    fn release(&mut self) -> Result<()>;

    /// Takes that many out. There are more than that, and it is not 0.
    #[must_use = "what is split off is given back when it is dropped"]
    fn split(&mut self, count: u32) -> Self;

    /// Adds the other permits, or returns them if they can't be kept together with these.
    ///
    /// # Errors
    ///
    /// The other permits.
    fn merge(&mut self, other: Self) -> std::result::Result<(), Self>;

    /// The fencing token of these permits.
    fn token(&self) -> Option<u64> {
        None
    }

    /// Whether the permits are still held, as far as this process knows.
    fn state(&self) -> HoldState {
        HoldState::Valid
    }

    /// As [`RawHold::epoch`].
    fn epoch(&self) -> u64 {
        0
    }

    /// As [`RawHold::lost`].
    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    /// As [`RawHold::lease_left`].
    fn lease_left(&self) -> Option<Duration> {
        None
    }
}

/// The features of a lock that not every engine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a capability of its own"
)]
pub struct Capabilities {
    /// Readers hold the lock together.
    pub shared: bool,
    /// An upgradable reader can become the writer, and a writer a reader, with no other writer in between.
    pub conversions: bool,
    /// Waiters of all processes get in in the order of their arrival.
    pub fifo: bool,
    /// Each exclusive hold has a fencing token.
    pub token: bool,
    /// The lock has a lease, and can be lost while it is held.
    pub lease: bool,
}

/// The state of a lock that was taken, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HoldState {
    /// The lock is held. The kernel keeps the lock of a file until it is released.
    Valid,
    /// The engine did not confirm the lease in time; the lock may be lost.
    Unconfirmed,
    /// The lock is lost: others may hold it.
    Lost,
}

/// Blocks this thread until the future is ready, the limit has passed or a
/// [`CancelToken`](crate::CancelToken) ends the wait: the wait of a thread, for engines that wait by futures.
///
/// With [`WaitLimit::None`] the future is polled once.
///
/// # Errors
///
/// Returns the error of the future. If the future is not ready in time, it is dropped, and the error is
/// `Contended`, `TimedOut` or `Cancelled`.
pub fn block_on<R>(
    resource: impl Into<Resource>,
    operation: Operation,
    limit: WaitLimit,
    future: impl Future<Output = Result<R>>,
) -> Result<R> {
    let begin = Instant::now();
    let cause = match wait::block_on(limit, future) {
        Ok(result) => return result,
        Err(WaitEnd::Contended) => Cause::Contended(None),
        Err(WaitEnd::TimedOut) => Cause::TimedOut(begin.elapsed(), None),
        Err(WaitEnd::Cancelled) => Cause::Cancelled(begin.elapsed()),
    };
    Err(Error::new(resource, operation, cause))
}

/// Returns the file of the lock with that name in a directory of named locks.
///
/// # Errors
///
/// The reason why a lock can't have that name.
pub fn file_of(name: &str) -> std::result::Result<String, &'static str> {
    named::file_of(name)
}

/// Returns the name whose lock has that file, as [`file_of`] makes it; `None` for other files.
#[must_use]
pub fn name_of(file: &str) -> Option<String> {
    named::name_of(file)
}

fn unsupported(resource: Resource, operation: Operation) -> Error {
    let why = "its engine can't change a lock that is held";
    Error::new(resource, operation, Cause::Unsupported(why, None))
}
