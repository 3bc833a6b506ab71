//! The engine of a program that chooses its engine at run time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lockfast::engine::{
    Capabilities, Engine, Files, HoldState, Mode, RawHold, RawLock, RawPermits, RawSemaphore,
    WaitLimit,
};
use lockfast::{Resource, Result};
#[cfg(feature = "etcd")]
use lockfast_etcd::{Etcd, LockKey, OnEtcd};
#[cfg(feature = "postgres")]
use lockfast_postgres::{LockRow, OnPostgres, Postgres};

type LockOf<E> = <E as Engine>::Lock;
type HoldOf<E> = <LockOf<E> as RawLock>::Hold;
type SemaphoreOf<E> = <E as Engine>::Semaphore;
type PermitsOf<E> = <SemaphoreOf<E> as RawSemaphore>::Permits;

/// The engine of a [`Space`](crate::Space): one of those that this crate was built with.
#[derive(Clone, Copy, Debug)]
pub enum Any {}

impl Engine for Any {
    type Lock = AnyLock;
    type Semaphore = AnySemaphore;
}

/// Defines a type that has a variant for each engine.
macro_rules! each_engine {
    ($(#[$docs:meta])* $name:ident, $of:ident) => {
        $(#[$docs])*
        #[non_exhaustive]
        pub enum $name {
            /// In a file.
            File($of<Files>),
            /// On etcd.
            #[cfg(feature = "etcd")]
            Etcd($of<Etcd>),
            /// On PostgreSQL.
            #[cfg(feature = "postgres")]
            Postgres($of<Postgres>),
        }
    };
}

each_engine! {
    /// An opened lock.
    #[derive(Clone, Debug)]
    AnyLock, LockOf
}
each_engine! {
    /// A lock that is held.
    #[derive(Debug)]
    AnyHold, HoldOf
}
each_engine! {
    /// An opened semaphore.
    #[derive(Clone, Debug)]
    AnySemaphore, SemaphoreOf
}
each_engine! {
    /// Permits that are held.
    #[derive(Debug)]
    AnyPermits, PermitsOf
}

/// Evaluates the expression for the variant of whichever engine, and wraps its value in that variant again if
/// a type is named.
macro_rules! of_each {
    ($this:expr, $it:ident => $value:expr) => {
        match $this {
            Self::File($it) => $value,
            #[cfg(feature = "etcd")]
            Self::Etcd($it) => $value,
            #[cfg(feature = "postgres")]
            Self::Postgres($it) => $value,
        }
    };
    ($this:expr, $it:ident => $value:expr, $wrap:ident in $to:ident) => {
        match $this {
            Self::File($it) => $value.map($to::File),
            #[cfg(feature = "etcd")]
            Self::Etcd($it) => $value.map($to::Etcd),
            #[cfg(feature = "postgres")]
            Self::Postgres($it) => $value.map($to::Postgres),
        }
    };
}

impl RawLock for AnyLock {
    type Hold = AnyHold;

    fn resource(&self) -> Resource {
        of_each!(self, lock => lock.resource())
    }

    fn capabilities(&self) -> Capabilities {
        of_each!(self, lock => lock.capabilities())
    }

    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<AnyHold> {
        of_each!(self, lock => lock.acquire(mode, limit), wrapped in AnyHold)
    }

    async fn acquire_async(&self, mode: Mode, limit: WaitLimit) -> Result<AnyHold> {
        of_each!(self, lock => lock.acquire_async(mode, limit).await, wrapped in AnyHold)
    }
}

impl RawHold for AnyHold {
    fn resource(&self) -> Resource {
        of_each!(self, hold => hold.resource())
    }

    fn release(&mut self) -> Result<()> {
        of_each!(self, hold => hold.release())
    }

    fn upgrade(&mut self, limit: WaitLimit) -> Result<()> {
        of_each!(self, hold => hold.upgrade(limit))
    }

    async fn upgrade_async(&mut self) -> Result<()> {
        of_each!(self, hold => hold.upgrade_async().await)
    }

    fn downgrade(&mut self, to: Mode) -> Result<()> {
        of_each!(self, hold => hold.downgrade(to))
    }

    fn forget_thread(&mut self) {
        of_each!(self, hold => hold.forget_thread());
    }

    fn token(&self) -> Option<u64> {
        of_each!(self, hold => hold.token())
    }

    fn epoch(&self) -> u64 {
        of_each!(self, hold => hold.epoch())
    }

    fn state(&self) -> HoldState {
        of_each!(self, hold => hold.state())
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        of_each!(self, hold => boxed(hold.lost()))
    }

    fn lease_left(&self) -> Option<Duration> {
        of_each!(self, hold => hold.lease_left())
    }
}

#[cfg(feature = "etcd")]
impl OnEtcd for AnyHold {
    fn etcd_key(&self) -> Option<LockKey> {
        match self {
            Self::Etcd(hold) => hold.etcd_key(),
            _ => None,
        }
    }
}

#[cfg(feature = "postgres")]
impl OnPostgres for AnyHold {
    fn postgres_row(&self) -> Option<LockRow> {
        match self {
            Self::Postgres(hold) => hold.postgres_row(),
            _ => None,
        }
    }
}

impl RawSemaphore for AnySemaphore {
    type Permits = AnyPermits;

    fn resource(&self) -> Resource {
        of_each!(self, semaphore => semaphore.resource())
    }

    fn permits(&self) -> u32 {
        of_each!(self, semaphore => semaphore.permits())
    }

    fn available_permits(&self) -> Result<u32> {
        of_each!(self, semaphore => semaphore.available_permits())
    }

    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<AnyPermits> {
        of_each!(self, semaphore => semaphore.acquire(count, limit), wrapped in AnyPermits)
    }

    async fn acquire_async(&self, count: u32, limit: WaitLimit) -> Result<AnyPermits> {
        of_each!(
            self,
            semaphore => semaphore.acquire_async(count, limit).await,
            wrapped in AnyPermits
        )
    }
}

impl RawPermits for AnyPermits {
    fn resource(&self) -> Resource {
        of_each!(self, permits => permits.resource())
    }

    fn count(&self) -> u32 {
        of_each!(self, permits => permits.count())
    }

    fn release(&mut self) -> Result<()> {
        of_each!(self, permits => permits.release())
    }

    fn split(&mut self, count: u32) -> Self {
        match self {
            Self::File(permits) => Self::File(permits.split(count)),
            #[cfg(feature = "etcd")]
            Self::Etcd(permits) => Self::Etcd(permits.split(count)),
            #[cfg(feature = "postgres")]
            Self::Postgres(permits) => Self::Postgres(permits.split(count)),
        }
    }

    fn merge(&mut self, other: Self) -> std::result::Result<(), Self> {
        match (self, other) {
            (Self::File(permits), Self::File(other)) => permits.merge(other).map_err(Self::File),
            #[cfg(feature = "etcd")]
            (Self::Etcd(permits), Self::Etcd(other)) => permits.merge(other).map_err(Self::Etcd),
            #[cfg(feature = "postgres")]
            (Self::Postgres(permits), Self::Postgres(other)) => {
                permits.merge(other).map_err(Self::Postgres)
            }
            #[cfg(any(feature = "etcd", feature = "postgres"))]
            (_, other) => Err(other),
        }
    }

    fn token(&self) -> Option<u64> {
        of_each!(self, permits => permits.token())
    }

    fn epoch(&self) -> u64 {
        of_each!(self, permits => permits.epoch())
    }

    fn state(&self) -> HoldState {
        of_each!(self, permits => permits.state())
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        of_each!(self, permits => boxed(permits.lost()))
    }

    fn lease_left(&self) -> Option<Duration> {
        of_each!(self, permits => permits.lease_left())
    }
}

fn boxed(
    future: impl Future<Output = ()> + Send + 'static,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(future)
}
